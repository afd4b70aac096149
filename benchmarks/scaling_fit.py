"""Fits with the standard callbacks in one process and in two, with one thread and one core each: networks/s.

DWS 16 x 3 on 2-32-32-1 networks, 64 per process, with gloo. All processes live through the whole run and take turns:
one alone, two that do not know each other at the same time, and two of one run. A step that waits for nobody is that
of the two that do not know each other. With --against, a fourth turn is that of two processes of another version.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as pl
import torch
from common import Report
from loading import synthetic_zoo
from weightspace.backbones import DWS
from weightspace.callbacks import standard_callbacks
from weightspace.data import ZooDataModule
from weightspace.tasks import SupervisedTask

BATCH, STEPS = 64, 20


class Turns(pl.Callback):
    """Trains for as many steps as a line of the input says, answers with the seconds of each, and waits."""

    def __init__(self, answers: Any) -> None:
        self.answers, self.left, self.times = answers, 0, list[float]()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        if self.left == 0:
            if self.times:
                ends = [*self.times, time.perf_counter()]
                print(*[end - begin for begin, end in pairwise(ends)], file=self.answers, flush=True)
            self.left = int(sys.stdin.readline() or 0)
            if self.left == 0:
                os._exit(0)
            self.times = []
        self.times.append(time.perf_counter())
        self.left -= 1


def serve(rank: int, world: int, folder: str, port: str) -> None:
    """Fits without an end in this process, on a core of its own, in turns."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    torch.set_num_threads(1)
    if world > 1:
        os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    pl.seed_everything(0, verbose=False)
    task = SupervisedTask(partial(DWS, hidden=16, layers=3), compile=False)
    run = f"{folder}/together-{port}" if world > 1 else f"{folder}/alone-{rank}"
    trainer = pl.Trainer(
        accelerator="cpu", devices=world, strategy="ddp" if world > 1 else "auto", max_epochs=10_000, logger=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
        callbacks=[*standard_callbacks(run), Turns(answers)],
    )  # fmt: skip
    trainer.fit(task, ZooDataModule(f"{folder}/zoo", batch_size=BATCH))


class Worker:
    """A process that fits in turns."""

    def __init__(self, rank: int, world: int, folder: str, port: int, version: str | None = None) -> None:
        """``version``: the folder of another checkout of this repository; None: this one."""
        found = {} if version is None else {"PYTHONPATH": f"{version}/framework:{version}/plugins"}
        command = [sys.executable, "-W", "ignore", __file__, "--serve", str(rank), str(world), folder, str(port)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        environment = os.environ | found
        self.process: subprocess.Popen[str] = subprocess.Popen(command, text=True, env=environment, **pipes)  # type: ignore[call-overload]

    def begin(self, steps: int) -> None:
        assert self.process.stdin is not None
        print(steps, file=self.process.stdin, flush=True)

    def seconds(self) -> list[float]:
        assert self.process.stdout is not None
        return [float(word) for word in self.process.stdout.readline().split()]


def seconds(workers: list[Worker], steps: int) -> float:
    """Median over the steps of workers that begin at the same time: what disturbs a few of them does not count."""
    for worker in workers:
        worker.begin(steps)
    return median(second for taken in [worker.seconds() for worker in workers] for second in taken)


def pair(folder: str, version: str | None) -> list[Worker]:
    """Two processes of one run."""
    port = free_port()
    return [Worker(rank, 2, folder, port, version) for rank in (0, 1)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def measure(report: Report, folder: str) -> None:
    synthetic_zoo(Path(folder) / "zoo", 64_000)
    alone = [Worker(rank, 1, folder, 0) for rank in (0, 1)]
    pairs = [pair(folder, version) for version in [None, report.options.against][: 2 if report.options.against else 1]]
    groups = [[alone[0]], [alone[1]], alone, *pairs]
    for group in groups[2:]:
        seconds(group, 5)
    rounds = [[seconds(group, STEPS) for group in groups] for _ in range(2 if report.quick else 12)]
    names = ["2 processes that do not know each other", "2 processes", "2 processes of the other version"]
    ones = median([0.5 * (r[0] + r[1]) for r in rounds])
    times = {name: median(column) for name, column in zip(names, list(zip(*rounds, strict=True))[2:], strict=False)}
    one = report.add("1 process", BATCH / ones, "networks/s")
    for name, time_of_step in times.items():
        report.add(name, 2 * BATCH / time_of_step, "networks/s", one)
    for name, time_of_step in {"1 process": ones, **times}.items():
        report.add(f"step, {name}", 1e3 * time_of_step, "ms")
    for worker in [worker for group in groups[2:] for worker in group]:
        worker.begin(0)
        worker.process.wait()


def main() -> None:
    report = Report(__doc__ or "", host_only="gloo alone is measured", against="folder of another checkout")
    with tempfile.TemporaryDirectory() as folder:
        measure(report, folder)
    report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
    else:
        main()
