"""Processes of a run of which one ends before its time: real ones, killed by real signals."""

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
import torch
import yaml
from peers_at_work import start
from warm import WarmCommand, warm_ranks
from weightspace.runs.folder import RunFolder

pytestmark = pytest.mark.processes

KILLED = -signal.SIGKILL
GO_ON = "The same command with --ckpt_path last resumes it"


def said(folder: Path, rank: int) -> str:
    return " ".join((folder / str(rank)).read_text().split())


@pytest.mark.parametrize(
    ("parts", "codes"),
    [
        (("works", "killed", "works"), (1, KILLED, 1)),
        (("killed", "works", "works"), (KILLED, 1, 1)),
        (("works", "works", "held"), (1, 1, KILLED)),
        (("works", "fails", "works"), (1, 1, 1)),
    ],
    ids=lambda given: "-".join(given) if isinstance(given[0], str) else "",
)
def test_one_line_of_one_process_says_who_has_ended(
    parts: tuple[str, ...], codes: tuple[int, ...], tmp_path: Path
) -> None:
    processes = start(tmp_path, *parts)
    for process in processes:
        process.join(100)
    assert tuple(process.exitcode for process in processes) == codes
    ended = next(rank for rank, part in enumerate(parts) if part != "works")
    speaker, *silent = (rank for rank in range(len(parts)) if rank != ended)
    pid = processes[ended].pid
    assert said(tmp_path, speaker) == f"error: rank {ended} of {len(parts)} (process {pid}) has ended. So go on"
    assert [said(tmp_path, rank) for rank in silent] == [""]


def test_processes_that_end_at_their_time_are_not_missed(tmp_path: Path) -> None:
    processes = start(tmp_path, "leaves", "late", "stays")
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [said(tmp_path, rank) for rank in range(3)] == ["", "", ""]


@pytest.fixture
def experiment(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of several processes that is long enough to be killed in its midst."""
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo), "batch_size": 4},
        "trainer": {"max_epochs": 500, "accelerator": "cpu", "devices": 2},
        "checkpoints": {"every_n_steps": 5},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def numbered(pids: list[int]) -> dict[int, int]:
    """Rank -> process id of those that were started as processes of a run, loader workers not."""
    found = {}
    for pid in pids:
        variables = dict(v.split(b"=", 1) for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in v)
        if b"LOCAL_RANK" in variables:
            found[int(variables[b"LOCAL_RANK"])] = pid
    return found


def wait(there: Callable[[], object]) -> None:
    until = time.monotonic() + 200
    while not there():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_process_that_lightning_has_started_and_that_is_killed(
    experiment: Path, children: Callable[[int], list[int]]
) -> None:
    folder = RunFolder(Path("runs/x/0"))
    with WarmCommand("fit", "-c", "x.yaml") as running:
        wait(folder.steps)
        second = numbered(children(running.pid))[1]
        os.kill(second, signal.SIGKILL)
        _, errors = running.communicate()
    assert running.returncode == 1
    assert " ".join(errors.split()) == (
        f"error: rank 1 of 2 (process {second}) was killed by SIGKILL (as systems do where memory runs out). {GO_ON}"
    )
    step = torch.load(folder.checkpoint("last"), weights_only=True)["global_step"]
    with ExitStack() as stack:
        ranks = warm_ranks(2, "fit", "-c", "x.yaml", "--ckpt_path", "last", "--trainer.max_steps", str(step + 1))
        ended = [(rank, *rank.communicate()) for rank in [stack.enter_context(rank) for rank in ranks]]
    assert [rank.returncode for rank, *_ in ended] == [0, 0], ended


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("by", ["lightning", "torchrun"])
def test_whoever_starts_them_and_whatever_they_have_started(
    by: str, rank: int, workers: int, experiment: Path, children: Callable[[int], list[int]]
) -> None:
    launcher = ["-m", "weightspace.cli.main"]
    if by == "torchrun":
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *launcher]
    command = [sys.executable, *launcher, "fit", "-c", "x.yaml", "--data.num_workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        wait(RunFolder(Path("runs/x/0")).steps)
        found = numbered(children(running.pid)) | ({0: running.pid} if by == "lightning" else {})
        os.kill(found[rank], signal.SIGKILL)
        _, errors = running.communicate(timeout=60)
    lines = " ".join(errors.split())
    assert lines.count(f"error: rank {rank} of 2 (process {found[rank]}) ") == lines.count("error: ") == 1
    assert GO_ON in lines
    assert "gloo" not in lines
    assert running.returncode == (KILLED if (by, rank) == ("lightning", 0) else 1)


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_fitting_by_several_processes(rank: int, tmp_path: Path, children: Callable[[int], list[int]]) -> None:
    out = tmp_path / "zoo"
    fit = [
        "zoo",
        "fit",
        "--source",
        "digits",
        "--recipe",
        "siren",
        "--train",
        "1200",
        "--views",
        "3",
        "--mode",
        "eager",
    ]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "weightspace.cli.main"]
    command = [sys.executable, *launcher, *fit, "--out", str(out), "--set", "hidden=[8, 8]", "steps=300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        wait(lambda: list(out.glob("shards/0*")))
        found = numbered(children(running.pid))
        os.kill(found[rank], signal.SIGKILL)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    message = f"error: rank {rank} of 2 (process {found[rank]}) has ended. The same command resumes it"
    assert " ".join(errors.split()).count(message) == 1


def test_a_loader_worker_that_is_killed(experiment: Path, children: Callable[[int], list[int]]) -> None:
    with WarmCommand("fit", "-c", "x.yaml", "--trainer.devices", "1", "--data.num_workers", "1") as running:
        wait(RunFolder(Path("runs/x/0")).steps)
        workers = [c for c in children(running.pid) if "pt_data" in Path(f"/proc/{c}/comm").read_text()]
        os.kill(workers[0], signal.SIGKILL)
        _, errors = running.communicate()
    assert running.returncode == 1
    told = " ".join(errors.split())
    assert told.startswith(f"error: loader worker process {workers[0]} ")
    assert told.endswith(GO_ON)
    assert "Traceback" not in errors
