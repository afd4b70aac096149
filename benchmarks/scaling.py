"""Training with one process and with two, with one thread each: networks/s, and the share of communication.

Real gloo processes, each on a core of its own; DWS 16 x 3 on 2-32-32-1 networks, 64 per process. Communication is what
a step takes longer than in two processes that run at the same time without communication.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from common import Report
from torch import Tensor
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


def seconds_per_step(loss: Loss, rank: int, rounds: int) -> float:
    """Median time of a training step in this process."""
    torch.manual_seed(rank)
    model = DWS(SPEC, 64, hidden=16, layers=3)
    network = DistributedDataParallel(model) if dist.is_initialized() else model
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    batch = WeightBatch(0.1 * torch.randn(BATCH, SPEC.num_params), SPEC, torch.arange(BATCH) % 10, num_classes=10)
    times = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        optimiser.zero_grad()
        loss(network, batch).backward()
        optimiser.step()
        times.append(time.perf_counter() - began)
    return median(times[2:])


def process(rank: int, world: int, name: str, talking: bool, rounds: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    if talking:
        dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)
    Path(f"{folder}/{rank}").write_text(str(seconds_per_step(LOSSES[name], rank, rounds)))
    if talking:
        dist.barrier()
        os._exit(0)  # gloo's threads, of torch 2.13, abort now and then a process that ends by itself


def measure(world: int, name: str, talking: bool, rounds: int) -> float:
    """Seconds per step of the slowest process."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(process, (world, name, talking, rounds, folder), nprocs=world)
        return max(float(Path(f"{folder}/{rank}").read_text()) for rank in range(world))


def main() -> None:
    report = Report(__doc__ or "")
    rounds = 10 if report.quick else 100
    model = DWS(SPEC, 64, hidden=16, layers=3)
    size = sum(parameter.numel() for parameter in model.parameters()) * 4
    print(f"gradients: {size / 1e3:.0f} kB per step; cores: {len(os.sched_getaffinity(0))}")
    for name in LOSSES:
        one = report.add(f"{name}, 1 process", BATCH / measure(1, name, False, rounds), "networks/s")
        silent, talking = (measure(2, name, talks, rounds) for talks in (False, True))
        report.add(f"{name}, 2 processes", 2 * BATCH / talking, "networks/s", one)
        report.add(f"{name}, 2 processes that do not talk", 2 * BATCH / silent, "networks/s", one)
        report.add(f"{name}, communication of 2 processes", 100 * max(0.0, 1 - silent / talking), "% of a step")
    report.finish()


if __name__ == "__main__":
    main()
