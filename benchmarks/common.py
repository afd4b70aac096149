"""Common parts of the benchmarks: options, timing and reports."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import torch
from weightspace.distributed.device import choose_device
from weightspace.errors import ConfigError


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

    def __init__(self, description: str, *, host_only: str | None = None, **further: str) -> None:
        """Parses the options --device, --quick and --json, and further ones given with their help texts.

        ``host_only`` is the reason why another device than the CPU changes nothing; ``device`` then stays the CPU.
        """
        parser = argparse.ArgumentParser(description=description)
        for name, text in further.items():
            parser.add_argument(f"--{name}", metavar=name.upper(), help=text)
        parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu (default), cuda, cuda:1, mps ...")
        parser.add_argument("--quick", action="store_true", help="under a minute, less exact")
        parser.add_argument("--json", metavar="FILE", help="write the rows there")
        self.options = parser.parse_args()
        self.rows: list[Row] = []
        if host_only and self.options.device != "cpu":
            print(f"--device {self.options.device} has no effect: {host_only}")
            self.options.device = "cpu"
        try:
            self.device = torch.device(choose_device(self.options.device))
        except ConfigError as error:
            parser.error(f"--device: {error}")
        print(f"torch {torch.__version__}, {device_name(self.device)}, {torch.get_num_threads()} threads")

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


def device_name(device: torch.device) -> str:
    """Name of a device as its maker calls it, as far as torch knows it: "cuda:0, NVIDIA A100-SXM4-40GB"."""
    if device.type == "cpu":
        return f"cpu, {platform.machine()}"
    return f"{device}, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def synchronise(device: torch.device) -> None:
    """Waits for the work of a device; that of the CPU is done when a call returns."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def timed(work: Callable[[], int], device: torch.device, calls: int = 1) -> tuple[int, float]:
    """Work done by some calls in a row, and the seconds until the device has finished it."""
    start = time.perf_counter()
    done = sum(work() for _ in range(calls))
    synchronise(device)
    return done, time.perf_counter() - start


def rate(work: Callable[[], int], seconds: float, device: torch.device | str = "cpu") -> float:
    """Measures units of work per second on ``device``: the median of five rounds after a warm-up call.

    Work that takes longer than the time for all rounds is timed once. A device is waited for once per round, since
    training does not wait for it after each call either.
    """
    device = torch.device(device)
    timed(work, device)
    done, taken = timed(work, device)
    if taken > seconds:
        return done / taken
    calls = max(1, round(seconds / 5 / min(taken, timed(work, device)[1])))
    rounds = [timed(work, device, calls) for _ in range(5)]
    return sorted(done / taken for done, taken in rounds)[2]


def rates_in_turn(
    works: dict[str, Callable[[], int]], seconds: float, device: torch.device, rounds: int = 5
) -> dict[str, float]:
    """Medians of the units of work per second of several works, which take turns so that a slow minute meets all.

    Each work has about ``seconds`` in all; one that takes longer for a call has one call per round.
    """
    calls = {}
    for name, work in works.items():
        timed(work, device)
        calls[name] = max(1, round(seconds / rounds / timed(work, device)[1]))
    columns: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            done, taken = timed(work, device, calls[name])
            columns[name].append(done / taken)
    return {name: median(column) for name, column in columns.items()}
