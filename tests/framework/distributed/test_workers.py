"""Work in several processes: order, errors, and what happens when one is killed or ctrl-C is pressed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from weightspace.distributed.workers import in_processes
from weightspace.errors import SourceError, WorkerEnded

pytestmark = pytest.mark.processes

ITEMS = range(40)


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def picky(number: int) -> int:
    if number == 17:
        raise SourceError("chairs/17.obj has changed")
    return number


def deadly(number: int) -> int:
    if number == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_are_in_order(processes: int) -> None:
    results = list(in_processes(square, ITEMS, processes))
    assert [result for result, _ in results] == [number * number for number in ITEMS]
    workers = {worker for _, worker in results}
    assert len(workers) == processes
    assert (os.getpid() in workers) == (processes == 1)


def test_few_items_are_done_here() -> None:
    assert {worker for _, worker in in_processes(square, range(3), 2)} == {os.getpid()}


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_an_item_is_ours(processes: int) -> None:
    found = in_processes(picky, ITEMS, processes)
    assert [next(found) for _ in range(17)] == list(range(17))
    with pytest.raises(SourceError, match=r"^chairs/17.obj has changed$"):
        next(found)


def test_a_process_that_was_killed_is_said() -> None:
    with pytest.raises(WorkerEnded, match="a process that shared the work was killed"):
        list(in_processes(deadly, ITEMS, 2))


NEW = """
import multiprocessing, os
from weightspace.distributed.workers import in_processes

def square(number):
    return number * number, os.getpid()

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    results = list(in_processes(square, range(40), 2))
    assert [result for result, _ in results] == [number * number for number in range(40)]
    assert len({worker for _, worker in results} - {os.getpid()}) == 2
"""


def test_processes_can_be_started_anew_instead_of_forked(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(NEW)
    subprocess.run([sys.executable, str(script)], check=True, timeout=120)


SLOW = """
import os, sys, time
from weightspace.distributed.workers import in_processes

def slow(number):
    os.write(1, f"{os.getpid()}\\n".encode())  # whole lines
    time.sleep(0.5)
    return number

list(in_processes(slow, range(1000), 2))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_first_one(how: signal.Signals, tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert running.stdout is not None
    workers = {int(running.stdout.readline()) for _ in range(4)}
    assert len(workers) == 2
    running.send_signal(how)
    running.stdout.close()
    assert running.wait(timeout=30) != 0
    end = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < end, f"{workers} still run"
        time.sleep(0.1)
