"""Training with one process and with two, with one thread each: networks/s, and the share of communication.

Real processes, with gloo on a core each, or with nccl on a GPU each (--device cuda, for which two are needed); DWS
16 x 3 on 2-32-32-1 networks, 64 per process. Communication is what a step takes longer than in two processes that run
at the same time without communication.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from common import Report, timed
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from weightspace.backbones import DWS
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec
from weightspace.tasks.losses import nt_xent

SPEC = NetworkSpec((2, 32, 32, 1), "sine", 30.0, 0.5)
BATCH = 64
Loss = Callable[[Callable[[WeightBatch], Tensor], WeightBatch], Tensor]


def supervised(network: Callable[[WeightBatch], Tensor], batch: WeightBatch) -> Tensor:
    return F.cross_entropy(network(batch), batch.targets)


def contrastive(network: Callable[[WeightBatch], Tensor], batch: WeightBatch) -> Tensor:
    """NT-Xent of a batch whose halves are the views of 32 objects."""
    first, second = network(batch).split(BATCH // 2)
    return nt_xent(first, second, 0.2)


LOSSES: dict[str, Loss] = {"supervised": supervised, "contrastive": contrastive}


def training_step(loss: Loss, network: nn.Module, batch: WeightBatch) -> Callable[[], int]:
    """Makes a function that runs a training step: forward, backward and AdamW."""
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)

    def work() -> int:
        optimiser.zero_grad()
        loss(network, batch).backward()
        optimiser.step()
        return len(batch)

    return work


def seconds_per_step(loss: Loss, rank: int, device: torch.device, talk: bool, rounds: int) -> float:
    """Median time of a training step in this process, which talks to others or not."""
    torch.manual_seed(rank)
    model = DWS(SPEC, 64, hidden=16, layers=3).to(device)
    network = DistributedDataParallel(model) if talk else model
    params = 0.1 * torch.randn(BATCH, SPEC.num_params)
    batch = WeightBatch(params, SPEC, torch.arange(BATCH) % 10, num_classes=10).to(device)
    train = training_step(loss, network, batch)
    return median([timed(train, device)[1] for _ in range(rounds + 2)][2:])


def place(kind: str, rank: int) -> torch.device:
    """Gives this process a core and one thread, or a device of another kind than the CPU."""
    if kind != "cpu":
        torch.accelerator.set_device_index(rank)
        return torch.device(kind, rank)
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    return torch.device("cpu")


def process(rank: int, world: int, name: str, talk: bool, rounds: int, kind: str, folder: str) -> None:
    device = place(kind, rank)
    if talk:
        backend = dist.get_default_backend_for_device(device)
        dist.init_process_group(backend, f"file://{folder}/meet", rank=rank, world_size=world)
    Path(f"{folder}/{rank}").write_text(str(seconds_per_step(LOSSES[name], rank, device, talk, rounds)))
    if talk:
        dist.barrier()
        os._exit(0)  # gloo's threads, of torch 2.13, abort now and then a process that ends by itself


def measure(world: int, name: str, talk: bool, rounds: int, device: torch.device) -> float:
    """Seconds per step of the slowest process; ``device`` is that of any of them."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(process, (world, name, talk, rounds, device.type, folder), nprocs=world)
        return max(float(Path(f"{folder}/{rank}").read_text()) for rank in range(world))


def main() -> None:
    report = Report(__doc__ or "")
    if report.device.type != "cpu" and torch.accelerator.device_count() < 2:
        raise SystemExit(
            f"two processes need two devices {report.device.type}, since nccl refuses to share one; found 1"
        )
    rounds = 10 if report.quick else 100
    model = DWS(SPEC, 64, hidden=16, layers=3)
    size = sum(parameter.numel() for parameter in model.parameters()) * 4
    print(f"gradients: {size / 1e3:.0f} kB per step; cores: {len(os.sched_getaffinity(0))}")
    for name in LOSSES:
        one = report.add(f"{name}, 1 process", BATCH / measure(1, name, False, rounds, report.device), "networks/s")
        silent, talking = (measure(2, name, talk, rounds, report.device) for talk in (False, True))
        report.add(f"{name}, 2 processes", 2 * BATCH / talking, "networks/s", one)
        report.add(f"{name}, 2 processes that do not talk", 2 * BATCH / silent, "networks/s", one)
        report.add(f"{name}, communication of 2 processes", 100 * max(0.0, 1 - silent / talking), "% of a step")
    report.finish()


if __name__ == "__main__":
    main()
