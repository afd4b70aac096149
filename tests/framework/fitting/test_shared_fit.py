"""One zoo by several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from folders import contents
from warm import warm_ranks
from weightspace.cli.main import main

pytestmark = pytest.mark.processes

FIT = ["zoo", "fit", "--source", "digits", "--recipe", "siren", "--train", "700", "--val", "20", "--test", "20"]
FIT += ["--views", "2", "--mode", "eager", "--set", "hidden=[8, 8]"]  # 1,440 networks: six shards
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def start(processes: int, *options: str, fit: list[str] = FIT) -> subprocess.Popen[str]:
    command = [*TORCHRUN, str(processes), "-m", "weightspace.cli.main", *fit, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_bytes_are_those_of_one_process(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ranks = warm_ranks(3, *FIT, "steps=5", "--out", str(tmp_path / "shared"))
        ended = [(rank, *rank.communicate()) for rank in [stack.enter_context(rank) for rank in ranks]]
    assert [rank.returncode for rank, *_ in ended] == [0, 0, 0], ended
    told = "".join(out for _, out, _ in ended)
    assert told.count("zoo of 1440 networks at") == 1
    assert "shared by 3 processes" in told
    assert main([*FIT, "steps=5", "--out", str(tmp_path / "one")]) == 0
    assert contents(tmp_path / "shared") == contents(tmp_path / "one")


#: Two shards each: objects with points of their own, and networks that are trained.
OTHERS = {
    "shapes": ["sdf", "--set", "hidden=[8]", "steps=3", "points_per_step=64", "--source_set", "points=128"],
    "classifiers": ["classifier", "--set", "hidden=[6]", "steps=60", "--source_set", "data=iris"],
}


@pytest.mark.long
@pytest.mark.parametrize("source", OTHERS)
def test_solids_and_classifiers_of_several_processes(source: str, tmp_path: Path) -> None:
    fit = ["zoo", "fit", "--source", source, "--train", "300", "--mode", "eager", "--recipe", *OTHERS[source]]
    with start(2, "--out", str(tmp_path / "shared"), fit=fit) as running:
        _, errors = running.communicate(timeout=200)
    assert running.returncode == 0, errors
    assert main([*fit, "--out", str(tmp_path / "one")]) == 0
    assert len(list((tmp_path / "one").glob("shards/*"))) == 2
    assert contents(tmp_path / "shared") == contents(tmp_path / "one")


@pytest.mark.long
def test_one_process_goes_on_where_two_were_killed(tmp_path: Path, children: Callable[[int], list[int]]) -> None:
    out = tmp_path / "cut"
    with start(2, "steps=300", "--out", str(out)) as running:
        while running.poll() is None and len(list(out.glob("shards/0*"))) < 2:
            time.sleep(0.01)
        for process in [running.pid, *children(running.pid)]:
            os.kill(process, signal.SIGKILL)
        running.communicate(timeout=60)
    there = {path.name: path.stat().st_mtime_ns for path in out.glob("shards/0*")}
    assert 2 <= len(there) < 6
    assert not (out / "zoo.json").exists()
    listed = "".join(path.read_text() for path in out.glob("journal*.jsonl"))
    assert main([*FIT, "steps=300", "--out", str(out)]) == 0
    for name, when in there.items():
        if name in listed:  # else the kill came between the shard and its line
            assert (out / "shards" / name).stat().st_mtime_ns == when, "a whole shard was fitted again"
    assert main([*FIT, "steps=300", "--out", str(tmp_path / "one")]) == 0
    assert contents(out) == contents(tmp_path / "one")


def test_what_one_process_may_not_do_several_may_not(tmp_path: Path) -> None:
    assert main([*FIT, "steps=5", "--out", str(tmp_path / "z")]) == 0
    before = contents(tmp_path / "z")
    with start(2, "steps=6", "--out", str(tmp_path / "z")) as running:
        _, errors = running.communicate(timeout=120)
    assert running.returncode != 0
    assert errors.count("steps: 5 there, 6 asked") == 1
    assert "Traceback" not in errors.split("steps: 5")[0]
    assert contents(tmp_path / "z") == before
