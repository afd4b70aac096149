"""Compiling backbones: the first step from an empty cache and from a kept one, and from when on compiling is repaid.

The first step is that of a new process, beyond an eager one. It is repaid twice by the time that the multiply-adds of
the last line save in training, for which ``compile_pays`` of the backbones are round numbers. Steps are timed
alternately, eager and compiled.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from backbones import CASES, USUAL, networks, training_step
from common import Report, rate, timed
from weightspace.tasks.mode import step_work

SIZE = 64
ROUNDS = 7


def in_new_process(name: str, cache: str, device: str, seconds: float) -> tuple[float, float, float]:
    """Seconds of the first compiled step beyond an eager one; networks/s eager and compiled."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (name, device, torch.get_num_threads(), seconds))


def _measured(name: str, device: str, threads: int, seconds: float) -> tuple[float, float, float]:
    torch.set_num_threads(threads)
    batch, place = networks(USUAL, SIZE).to(device), torch.device(device)
    model = CASES[name](batch.spec).to(device)
    work = training_step(model, batch)
    usual = SIZE / rate(work, 1.0, place)
    model.compile(SIZE)
    first = timed(work, place)[1] - usual
    if not seconds:
        return first, 0.0, 0.0
    rates: dict[bool, list[float]] = {False: [], True: []}
    for compiled in [False, True] * ROUNDS:
        model.train(compiled)  # only training is compiled; without dropout, evaluation computes the same
        rates[compiled].append(_rate(work, seconds / ROUNDS, place))
    return first, statistics.median(rates[False]), statistics.median(rates[True])


def _rate(work: Callable[[], int], seconds: float, device: torch.device) -> float:
    work()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += timed(work, device)[0]
    return done / (time.perf_counter() - start)


def main() -> None:
    report = Report(__doc__ or "", only="only the backbones whose name begins so")
    seconds = 1.0 if report.quick else 10.0
    chosen = [name for name in CASES if name.startswith(report.options.only or "")]
    for name in chosen[:1] if report.quick else chosen:
        with tempfile.TemporaryDirectory() as cache:
            cold, eager, compiled = in_new_process(name, cache, str(report.device), seconds)
            kept, *_ = in_new_process(name, cache, str(report.device), 0)
        report.add(f"{name}, first step, empty cache", cold, "s")
        report.add(f"{name}, first step, kept cache", kept, "s")
        base = report.add(f"{name}, eager", eager, "networks/s")
        report.add(f"{name}, compiled", compiled, "networks/s", base)
        saved = 1 / eager - 1 / compiled
        if saved > 0:
            work = step_work(CASES[name](networks(USUAL, 1).spec), 1)
            report.add(f"{name}, repaid twice after", 2 * cold / saved, "networks")
            report.add(f"{name}, repaid twice after, 1e9", 2e-9 * cold / saved * work, "multiply-adds")
    report.finish()


if __name__ == "__main__":
    main()
