"""Tests and rates for a machine with a GPU, in under nine minutes: the tests marked gpu, then each job of gpu_jobs.py
on the CPU and on the GPU. Writes one table row by row, so that an interrupted run keeps what it has.

With --device cpu it does all of it at small size, once, which shows that the pack itself works. Exit code 1: a test or
a job failed; 2: there is no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import multiprocessing
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from gpu_jobs import FULL, JOBS, SMALL, NotHereError
from weightspace.distributed.device import choose_device
from weightspace.errors import ConfigError

ROOT = Path(__file__).parents[1]
MINUTES = 9
#: Seconds that the tests may take.
TESTS = 180


@dataclass(frozen=True)
class Outcome:
    """A rate, or why there is none, and whether that is a failure."""

    rate: float | None = None
    reason: str = ""
    failed: bool = False

    def __str__(self) -> str:
        return f"{self.rate:,.0f}" if self.rate is not None else f"{'failed: ' * self.failed}{self.reason}"


class Worker:
    """A process that measures jobs, and that is replaced after a failure, since a broken GPU context stays broken."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def measure(self, name: str, device: str, small: bool, seconds: float) -> Outcome:
        """Measures a job, which is stopped after some seconds."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")  # a forked process cannot use a GPU
            self._pipe, other = context.Pipe()
            self._process = context.Process(target=serve, args=(other,))
            self._process.start()
            other.close()
        self._pipe.send((name, device, small))
        try:
            outcome = self._pipe.recv() if self._pipe.poll(seconds) else _failure(f"not done after {seconds:.0f} s")
        except EOFError:
            self._process.join()
            outcome = _failure(f"its process ended with code {self._process.exitcode}")
        if outcome.failed:
            self.stop(0)
        return outcome

    def stop(self, patience: float) -> None:
        """Ends the process, after some seconds also by force, and those that it has started."""
        if self._process is not None and self._process.pid is not None:
            self._pipe.close()
            self._process.join(patience)
            with contextlib.suppress(ProcessLookupError):  # it may not have got as far as its own group
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
        self._process = None


def _failure(reason: str) -> Outcome:
    return Outcome(reason=reason, failed=True)


def serve(pipe: Connection) -> None:
    """Measures the jobs that come through a pipe."""
    os.setsid()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it tells about devices at each trainer
    while True:
        try:
            name, device, small = pipe.recv()
        except EOFError:  # the main process has ended
            return
        try:
            outcome = Outcome(JOBS[name].rate(torch.device(device), SMALL if small else FULL))
        except NotHereError as error:
            outcome = Outcome(reason=str(error))
        except Exception as error:  # a row says why
            traceback.print_exc()
            outcome = _failure(" ".join(f"{type(error).__name__}: {error}".split())[:200])
        with contextlib.suppress(BrokenPipeError):
            pipe.send(outcome)


def run_tests(device: str, limit: float) -> Outcome:
    """Runs the tests marked gpu on the device; the result counts them."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "--device", device]
        try:
            subprocess.run([*command, "--durations=3", f"--junitxml={folder}/found.xml"], cwd=ROOT, timeout=limit)
            suite = ElementTree.parse(f"{folder}/found.xml").getroot()[0]
        except (subprocess.TimeoutExpired, FileNotFoundError) as error:
            return _failure(f"the tests did not end: {type(error).__name__}")
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return Outcome(reason=text, failed=counts["failures"] + counts["errors"] > 0 or counts["tests"] == 0)


def heading(device: str) -> str:
    """The machine, the versions and the command, above an empty table."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout
    models = [line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    cores = f"{len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads"
    gpu = f"{torch.accelerator.device_count()} x {device}"
    if device.startswith("cuda"):
        found = torch.cuda.get_device_properties(device)
        gpu = f"{torch.cuda.device_count()} x {found.name}, {found.total_memory / 2**30:.0f} GB"
    lines = {
        "machine": f"{platform.system()} {platform.machine()},{models[0] if models else ' unknown processor'}, {cores}",
        "GPU": gpu if device != "cpu" else "none: everything at small size on the CPU, to try the pack itself",
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda or 'none'}, Python {platform.python_version()}",
        "commit": commit.strip() or "unknown",
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": f"`{shlex.join(['python', 'benchmarks/gpu.py', *sys.argv[1:]])}`",
    }
    table = f"| job | CPU | {device if device != 'cpu' else 'GPU'} | ratio | unit |\n|---|---|---|---|---|\n"
    return "# GPU report\n\n" + "".join(f"- {name}: {text}\n" for name, text in lines.items()) + f"\n{table}"


def row(name: str, outcomes: list[Outcome], unit: str) -> str:
    """A row of the table: the CPU's outcome, the GPU's, and their ratio."""
    cpu, gpu = outcomes[0], outcomes[1] if len(outcomes) > 1 else Outcome(reason="not measured")
    ratio = f"{gpu.rate / cpu.rate:.2f}" if cpu.rate and gpu.rate else ""
    cells = [str(cell).replace("|", "/") for cell in (name, cpu, gpu, ratio, unit)]
    return f"| {' | '.join(cells)} |\n"


def measure(device: str, names: list[str], out: Path, end: float) -> bool:
    """Measures jobs until the end, writes a row for each, and says whether one failed."""
    began, small, failed = time.monotonic(), device == "cpu", False
    devices, worker = (["cpu"] if small else ["cpu", device]), Worker()
    try:
        for number, name in enumerate(names):
            gone = time.monotonic() - began
            left = f", about {gone / number * (len(names) - number):.0f} s left" if number else ""
            print(f"[{number + 1}/{len(names)}{left}] {name} ...", flush=True)
            outcomes = []
            for where in devices:
                rest = end - time.monotonic()
                late = _failure(f"not begun within {MINUTES} minutes")
                limit = min(JOBS[name].limit, rest)
                outcomes.append(late if rest < 1 else worker.measure(name, where, small, limit))
            with out.open("a", encoding="utf-8") as file:
                file.write(row(name, outcomes, JOBS[name].unit))
            print("    " + row(name, outcomes, JOBS[name].unit).strip(), flush=True)
            failed |= any(outcome.failed for outcome in outcomes)
    finally:
        worker.stop(5)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", metavar="DEVICE", help="cuda (default), cuda:1 ...; cpu: the pack at small size")
    parser.add_argument("--only", default="", help="only the jobs whose name begins so, without the tests")
    parser.add_argument("--out", default="gpu-report.md", metavar="FILE", help="the table (default: gpu-report.md)")
    options = parser.parse_args()
    try:
        device = choose_device(options.device or "cuda")
    except ConfigError as error:
        print(f"no GPU to measure: {error}. At small size on the CPU: make gpu DEVICE=cpu", file=sys.stderr)
        sys.exit(2)
    end, out, failed = time.monotonic() + 60 * MINUTES, Path(options.out), False
    out.write_text(heading(device), encoding="utf-8")
    if not options.only:
        tests = run_tests(device, TESTS)
        failed = tests.failed
        with out.open("a", encoding="utf-8") as file:
            file.write(row("tests marked gpu", [Outcome(), tests], ""))
    names = [name for name, job in JOBS.items() if name.startswith(options.only) and (job.small or device != "cpu")]
    failed |= measure(device, names, out, end)
    print(f"{'something failed, see' if failed else 'the table:'} {out}")
    sys.exit(int(failed))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the worker is ended, too
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: the table keeps what was measured", file=sys.stderr)
        sys.exit(130)
