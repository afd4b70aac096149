"""Trains one backbone as the version of weightspace on the path has it, in turns: a process of ``versions.py``.

Arguments: case of ``backbones.py``, eager or compiled, device, widths such as 2-32-32-1, networks in a batch. The first
answer is the seconds of the first step; each further line of the input, a number of seconds, is answered by networks/s.
"""

from __future__ import annotations

import inspect
import os
import sys
import time

import torch
from backbones import CASES, networks, training_step


def main(name: str, mode: str, device: str, widths: str, size: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    batch = networks(tuple(map(int, widths.split("-"))), int(size)).to(device)
    model = CASES[name](batch.spec).to(device)
    if mode == "compiled":  # earlier versions compiled whatever came
        model.compile(*[int(size)] if "batch_size" in inspect.signature(model.compile).parameters else [])
    step = training_step(model, batch)

    def timed_steps(seconds: float) -> tuple[int, float]:
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < seconds:
            done += step()
            if device != "cpu":
                torch.accelerator.synchronize()
        return done, time.perf_counter() - start

    print(timed_steps(0)[1], file=answers, flush=True)
    for line in sys.stdin:
        done, taken = timed_steps(float(line))
        print(done / taken, file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
