"""Real gloo processes against one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from warm import WarmCommand
from weightspace.backbones import DWS
from weightspace.batch import WeightBatch
from weightspace.distributed import gather, share
from weightspace.spec import NetworkSpec
from weightspace.tasks.losses import nt_xent
from weightspace.tasks.vicreg import vicreg

SPEC = NetworkSpec((2, 4, 3, 1), "sine", 30.0, 0.5)


def networks() -> tuple[WeightBatch, WeightBatch]:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, 12, SPEC.num_params, generator=generator, dtype=torch.float64).unbind(0)
    targets = torch.arange(12) % 3
    return WeightBatch(first, SPEC, targets), WeightBatch(second, SPEC, targets)


def model() -> DWS:
    torch.manual_seed(0)
    return DWS(SPEC, 3, hidden=4, layers=2).double()


def pairs(network: Callable[..., Any], rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    first, second = (batch.select(rows) for batch in networks())
    joined = network(WeightBatch(torch.cat([first.params, second.params]), SPEC))
    return joined.split(len(rows))


def contrastive(network: Callable[..., Any], rows: torch.Tensor) -> torch.Tensor:
    return nt_xent(*pairs(network, rows), 0.3)


def without_negatives(network: Callable[..., Any], rows: torch.Tensor) -> torch.Tensor:
    return vicreg(*pairs(network, rows))


def supervised(network: Callable[..., Any], rows: torch.Tensor) -> torch.Tensor:
    batch = networks()[0].select(rows)
    loss = F.cross_entropy(network(batch), batch.targets)
    return loss * share(len(rows), loss)


LOSSES = {"contrastive": contrastive, "vicreg": without_negatives, "supervised": supervised}


def rows_of(rank: int, world: int) -> torch.Tensor:
    """Uneven shares: 11 rows."""
    return torch.arange(11)[rank::world]


def process(rank: int, world: int, name: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=world)
    network = DistributedDataParallel(model())
    loss = LOSSES[name](network, rows_of(rank, world))
    loss.backward()
    gathered, begin = gather(torch.full((rank + 1, 2), float(rank)))
    result = {
        "loss": loss.detach(),
        "gradients": [p.grad for p in network.module.parameters()],
        "gathered": gathered,
        "begin": begin,
    }
    torch.save(result, f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)  # gloo's threads, of torch 2.13, hang or abort now and then a process that ends by itself


def run(world: int, name: str, folder: str) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        commands = [WarmCommand(str(rank), str(world), name, folder, script=__file__) for rank in range(world)]
        for running in [stack.enter_context(command) for command in commands]:
            _, errors = running.communicate()
            assert running.returncode == 0, errors
    return [torch.load(f"{folder}/{rank}.pt", weights_only=True) for rank in range(world)]


@pytest.mark.parametrize(("world", "name"), [(2, "contrastive"), (3, "contrastive"), (3, "vicreg"), (3, "supervised")])
def test_uneven_processes_have_the_loss_and_the_gradients_of_one(world: int, name: str, tmp_path) -> None:
    network = model()
    rows = torch.arange(11)
    expected = LOSSES[name](network, rows)
    expected.backward()
    results = run(world, name, str(tmp_path))
    assert float(sum(r["loss"] for r in results) / world) == pytest.approx(float(expected.detach()), abs=1e-12)
    for result in results:
        for own, parameter in zip(result["gradients"], network.parameters(), strict=True):
            assert torch.allclose(own, parameter.grad, atol=1e-9)
        assert result["gathered"][:, 0].tolist() == [float(r) for r in range(world) for _ in range(r + 1)]
    assert [result["begin"] for result in results] == [r * (r + 1) // 2 for r in range(world)]


def test_one_process_is_told_its_own() -> None:
    rows = torch.randn(3, 2)
    assert gather(rows) == (rows, 0)
    assert float(share(3, rows.sum())) == 1


if __name__ == "__main__":
    process(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
