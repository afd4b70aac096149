"""Common parts of the benchmarks: options, timing and reports."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch


@dataclass(frozen=True)
class Row:
    """A measurement, with its ratio to a baseline of the same run."""

    name: str
    value: float
    unit: str
    baseline: str | None = None
    ratio: float | None = None


class Report:
    """Prints measurements when they are added, and writes them as JSON at the end."""

    def __init__(self, description: str, **further: str) -> None:
        """Parses the options --quick and --json, and further ones given with their help texts."""
        parser = argparse.ArgumentParser(description=description)
        for name, text in further.items():
            parser.add_argument(f"--{name}", metavar=name.upper(), help=text)
        parser.add_argument("--quick", action="store_true", help="under a minute, less exact")
        parser.add_argument("--json", metavar="FILE", help="write the rows there")
        self.options = parser.parse_args()
        self.rows: list[Row] = []
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")

    @property
    def quick(self) -> bool:
        return bool(self.options.quick)

    def add(self, name: str, value: float, unit: str, baseline: Row | None = None) -> Row:
        ratio = value / baseline.value if baseline else None
        row = Row(name, value, unit, baseline.name if baseline else None, ratio)
        self.rows.append(row)
        compared = f"   {ratio:.2f} x {row.baseline}" if ratio is not None else ""
        print(f"{name:52s} {value:12,.1f} {unit}{compared}", flush=True)
        return row

    def finish(self) -> None:
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump([asdict(row) for row in self.rows], file, indent=1)


def rate(work: Callable[[], int], seconds: float) -> float:
    """Measures units of work per second: the median of five rounds after a warm-up round.

    Work that takes longer than the time for all rounds is timed once.
    """
    work()
    start = time.perf_counter()
    done = work()
    taken = time.perf_counter() - start
    if taken > seconds:
        return done / taken
    rounds = []
    for _ in range(5):
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 5:
            done += work()
        rounds.append(done / (time.perf_counter() - start))
    return sorted(rounds)[2]
