"""Fits with the standard callbacks in one process and in two, with one thread and one core each: networks/s.

DWS 16 x 3 on 2-32-32-1 networks, 64 per process, with gloo. All processes live through the whole run and take turns:
one alone, two that do not know each other at the same time, and two of one run. A step that waits for nobody is that
of the two that do not know each other.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
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
    """Trains for as many steps as a line of the input says, answers with the seconds, and waits for the next."""

    def __init__(self, answers: Any) -> None:
        self.answers, self.left, self.began = answers, 0, 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        if self.left == 0:
            if self.began:
                print(time.perf_counter() - self.began, file=self.answers, flush=True)
            self.left = int(sys.stdin.readline() or 0)
            if self.left == 0:
                os._exit(0)
            self.began = time.perf_counter()
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
    run = f"{folder}/together" if world > 1 else f"{folder}/alone-{rank}"
    trainer = pl.Trainer(
        accelerator="cpu", devices=world, strategy="ddp" if world > 1 else "auto", max_epochs=10_000, logger=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
        callbacks=[*standard_callbacks(run), Turns(answers)],
    )  # fmt: skip
    trainer.fit(task, ZooDataModule(f"{folder}/zoo", batch_size=BATCH))


class Worker:
    """A process that fits in turns."""

    def __init__(self, rank: int, world: int, folder: str, port: int) -> None:
        command = [sys.executable, "-W", "ignore", __file__, "--serve", str(rank), str(world), folder, str(port)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process: subprocess.Popen[str] = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]

    def begin(self, steps: int) -> None:
        assert self.process.stdin is not None
        print(steps, file=self.process.stdin, flush=True)

    def seconds(self) -> float:
        assert self.process.stdout is not None
        return float(self.process.stdout.readline())


def slowest(workers: list[Worker], steps: int) -> float:
    """Seconds per step of the slowest of workers that begin at the same time."""
    for worker in workers:
        worker.begin(steps)
    return max([worker.seconds() for worker in workers]) / steps


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def measure(report: Report, folder: str) -> None:
    synthetic_zoo(Path(folder) / "zoo", 64_000)
    alone = [Worker(rank, 1, folder, 0) for rank in (0, 1)]
    together = [Worker(rank, 2, folder, port) for port in [free_port()] for rank in (0, 1)]
    groups = [[alone[0]], [alone[1]], alone, together]
    for group in groups[2:]:
        slowest(group, 5)
    rounds = [[slowest(group, STEPS) for group in groups] for _ in range(2 if report.quick else 12)]
    ones, silent, talking = ([0.5 * (r[0] + r[1]) for r in rounds], [r[2] for r in rounds], [r[3] for r in rounds])
    one = report.add("1 process", BATCH / median(ones), "networks/s")
    for name, times in {"2 processes": talking, "2 processes that do not know each other": silent}.items():
        report.add(name, 2 * BATCH / median(times), "networks/s", one)
    for name, times in {"step of 1": ones, "step of 2": talking, "step of 2 that do not know": silent}.items():
        report.add(name, 1e3 * median(times), "ms")
    for worker in [*alone, *together]:
        worker.begin(0)
        worker.process.wait()


def main() -> None:
    report = Report(__doc__ or "", host_only="gloo alone is measured")
    with tempfile.TemporaryDirectory() as folder:
        measure(report, folder)
    report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
    else:
        main()
