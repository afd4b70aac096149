"""Training of backbones by this checkout and by another one: networks/s, eager and compiled, first steps.

Each version is a process of its own (``train_in_turns.py``); both live at the same time and take turns, the other one
first. The ratio is the median over pairs of turns. Compiled code is made with an empty cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch
from common import Report

#: The backbones that are measured where --only names none.
CASES = ("DWS 16 x 3", "DWS 32 x 5", "ScaleGNN 16 x 4", "GNN 32 x 4", "GraphTransformer")
MODES = ("eager", "compiled")
HERE = Path(__file__).resolve().parents[1]


class Version:
    """A process that trains a backbone as a checkout has it."""

    def __init__(self, checkout: Path, cache: str, *arguments: str) -> None:
        """``cache``: folder for compiled code; the other arguments are those of ``train_in_turns.py``."""
        path = os.pathsep.join(str(checkout / part) for part in ("benchmarks", "framework", "plugins"))
        environment = os.environ | {
            "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": str(torch.get_num_threads()),
            "TORCHINDUCTOR_CACHE_DIR": cache, "WEIGHTSPACE_CACHE": cache,
        }  # fmt: skip
        command = [sys.executable, "-W", "ignore", str(HERE / "benchmarks/train_in_turns.py"), *arguments]
        self.process = subprocess.Popen(
            command, text=True, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def answer(self, seconds: float | None = None) -> float:
        """Networks/s in a turn of so many seconds; None: the seconds of the first step."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if seconds is not None:
            print(seconds, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args[3:]))} ended with exit code {self.process.wait()}")  # type: ignore[index]
        return float(line)

    def end(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def compare(report: Report, name: str, mode: str, other: Path, rounds: int, seconds: float) -> None:
    """Measures a backbone in both versions."""
    options = report.options
    widths, size = options.widths or "2-32-32-1", options.batch or "64"
    versions, first = [], []
    with tempfile.TemporaryDirectory() as folder:
        for checkout in (other, HERE):
            cache = f"{folder}/{len(versions)}"
            versions.append(Version(checkout, cache, name, mode, str(report.device), widths, size))
            first.append(versions[-1].answer())
        for version in versions:
            version.answer(seconds)
        rates = [[version.answer(seconds) for version in versions] for _ in range(rounds)]
        for version in versions:
            version.end()
    before, now = (median(column) for column in zip(*rates, strict=True))
    ratios = sorted(new / old for old, new in rates)
    report.add(f"{name}, {mode}, first step, other version", first[0], "s")
    report.add(f"{name}, {mode}, first step", first[1], "s")
    base = report.add(f"{name}, {mode}, other version", before, "networks/s")
    report.add(f"{name}, {mode}", now, "networks/s", base)
    report.add(f"{name}, {mode}, ratio in turns", median(ratios), f"({ratios[0]:.2f} to {ratios[-1]:.2f})")


def main() -> None:
    report = Report(
        __doc__ or "",
        against="folder of the other checkout: git worktree add FOLDER COMMIT makes one",
        only="only the backbones whose name begins so",
        mode="eager or compiled; both without it",
        widths="of the networks (2-32-32-1)",
        batch="networks in a batch (64)",
    )
    other = Path(report.options.against or ".").resolve()
    if not (other / "benchmarks/backbones.py").is_file() or other == HERE:
        sys.exit("versions.py: --against FOLDER must be another checkout: git worktree add FOLDER COMMIT makes one")
    chosen = [name for name in CASES if name.startswith(report.options.only or "")]
    for name in chosen[:1] if report.quick else chosen:
        for mode in (report.options.mode,) if report.options.mode else MODES:
            compare(report, name, mode, other, *(3, 1.0) if report.quick else (8, 4.0))
    report.finish()


if __name__ == "__main__":
    main()
