"""Processes that only communicate, for tests of how the end of one of them is detected."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")


def start(folder: Path, *parts: str) -> list[BaseProcess]:
    """Starts one process per part (see ``_work``); the output of rank r is in ``folder / str(r)``."""
    processes = [_CONTEXT.Process(target=_work, args=(rank, parts, folder)) for rank in range(len(parts))]
    for process in processes:
        process.start()
    return processes


def _work(rank: int, parts: tuple[str, ...], folder: Path) -> None:
    """Communicates three times with the other processes, then plays its part.

    "works" continues to communicate until something happens; "killed" is killed by SIGKILL, and "held" as well, while
    another process keeps its connections open, like a loader worker; "fails" raises an error of its own; "leaves"
    finishes its work, "late" only after some seconds, and "stays" has more to do afterwards.
    """
    sys.stdout.flush()
    os.dup2(os.open(folder / str(rank), os.O_CREAT | os.O_WRONLY), 2)
    import torch
    import torch.distributed as dist
    from weightspace.distributed.peers import GRACE, Peers

    store = dist.FileStore(str(folder / "store"), len(parts))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=len(parts), timeout=timedelta(minutes=5))
    peers = Peers(rank, len(parts), lambda: "So go on")
    peers.meet()
    part = parts[rank]
    with peers.watched():
        for _ in range(3):
            dist.all_reduce(torch.ones(1))
        if part == "held" and os.fork() == 0:
            os.close(2)
            time.sleep(150)  # longer than a test waits
            os._exit(0)
        if part in ("killed", "held"):
            os.kill(os.getpid(), signal.SIGKILL)
        if part == "fails":
            raise ValueError("an error of its own")
        if part == "late":
            time.sleep(GRACE + 1)
        while part == "works":
            dist.all_reduce(torch.ones(1))
    if part == "stays":
        time.sleep(GRACE + 1)
