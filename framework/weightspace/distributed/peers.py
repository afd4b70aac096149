"""Detects that another rank on this machine has died, reports which one, and ends the remaining ranks."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch.distributed as dist
from rich.text import Text

from weightspace.text import PlainConsole

#: Seconds between two looks at the others.
INTERVAL = 0.1
#: Seconds that a process has to notice by itself, in what it does, that another has ended.
GRACE = 2.0
#: Seconds that a lost connection, or an end that has begun, may take to show where it comes from, or to be over.
PATIENCE = 10.0

_LOST = re.compile(r"gloo|nccl|socket|connection (closed|reset|refused)|broken pipe|recvValue|sendBytes", re.IGNORECASE)


@dataclass(frozen=True)
class Peer:
    """Another rank of the run.

    Attributes:
        rank: its rank.
        pid: its process id.
        child: the process object, if this process has started it.
    """

    rank: int
    pid: int
    child: subprocess.Popen[bytes] | None = None
    handle: int | None = None

    @staticmethod
    def of(rank: int, pid: int, child: subprocess.Popen[bytes] | None = None) -> Peer:
        """A peer that is watched from now on, even if its process id is reused later."""
        try:  # Linux alone has these: elsewhere, a process sees its children only
            handle = os.pidfd_open(pid) if child is None and hasattr(os, "pidfd_open") else None
        except ProcessLookupError:
            handle = -1
        except OSError:  # older kernels, and sandboxes that forbid it
            handle = None
        return Peer(rank, pid, child, handle)

    def has_ended(self) -> bool:
        """Whether the process has ended, for whatever reason."""
        if self.child is not None:
            return self.child.poll() is not None
        if self.handle is None:
            return False
        if self.handle < 0:
            return True
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def code(self) -> int | None:
        """Its exit code as ``subprocess`` gives it; None if this process cannot know it."""
        return None if self.child is None else self.child.returncode

    def close(self) -> None:
        """Closes the file descriptor that was needed to watch it."""
        if self.handle is not None and self.handle >= 0:
            os.close(self.handle)


class Peers:
    """Watches the other ranks of a run from a thread while its block runs.

    A rank that is killed, or fails alone, leaves the others in a collective operation: they get a connection error, or
    hang for as long as the dead rank's loader workers keep the connection open. Instead, one line reports which rank
    has ended and how to resume, and the others exit with code 1, or with the exit code of that rank. The lowest
    remaining rank on the machine reports, and ends the processes that it has started.

    Args:
        rank: of this process.
        world: number of ranks in the run.
        hint: returns the sentence that says how to resume.
        children: rank -> process, for the ranks that this process has started.
        first: process id of rank 0, if rank 0 has started this process.
    """

    def __init__(
        self,
        rank: int,
        world: int,
        hint: Callable[[], str],
        children: Mapping[int, subprocess.Popen[bytes]] | None = None,
        first: int | None = None,
    ) -> None:
        self.rank, self.world, self._hint = rank, world, hint
        self._children = dict(children or {})
        self._peers = [Peer.of(number, child.pid, child) for number, child in self._children.items()]
        self._peers += [] if first is None else [Peer.of(0, first)]
        self._elsewhere = False
        self._lost: Peer | None = None
        self._noticed, self._over, self._reported = threading.Event(), threading.Event(), threading.Event()
        self._reporting = threading.Lock()

    def meet(self) -> None:
        """Exchanges the process ids of all ranks; a collective operation."""
        found: list[tuple[int, int, str]] = [(0, 0, "")] * self.world
        dist.all_gather_object(found, (self.rank, os.getpid(), _machine()))
        here = [(rank, pid) for rank, pid, machine in found if machine == _machine() and rank != self.rank]
        self._elsewhere = len(here) < self.world - 1
        known = {peer.rank for peer in self._peers}
        self._peers = self._peers + [Peer.of(rank, pid) for rank, pid in here if rank not in known]

    @contextmanager
    def watched(self, barrier: Callable[[], object] = dist.barrier) -> Iterator[None]:
        """Watches the other ranks while the block runs; at its end all ranks wait for each other.

        Args:
            barrier: the collective operation by which they wait.

        Raises:
            SystemExit: in place of the connection error that the end of another rank has caused.
        """
        threading.Thread(target=self._watch, name="peers", daemon=True).start()
        try:
            yield
            if dist.is_initialized():
                barrier()
        except RuntimeError as error:
            if is_lost_connection(error):
                self._explain()
            raise
        finally:
            if not self._reported.is_set():  # else the thread ends the process
                self._over.set()

    @contextmanager
    def answering_sigterm(self) -> Iterator[None]:
        """Reports which rank has ended before obeying SIGTERM, which torchrun sends to the remaining ranks."""

        def answer(number: int, frame: FrameType | None) -> None:
            if self._noticed.wait(2 * INTERVAL):
                self._report()
                self._leave()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        before = signal.signal(signal.SIGTERM, answer)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _explain(self) -> None:
        """Reports which rank has ended and exits; returns if none has."""
        if self._noticed.wait(PATIENCE):
            self._report()
        elif self._elsewhere:
            _say(
                "the connection to another process of this run is lost, and none on this machine has ended: "
                f"those on the other machines say why. {self._hint()}"
            )
        else:
            return
        self._leave()

    def _leave(self) -> NoReturn:
        # before the interpreter's own end, in which gloo waits for seconds for who is no more
        atexit.register(_end_now, self._exit_code)
        raise SystemExit(self._exit_code)

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            self._lost = next((peer for peer in self._peers if peer.has_ended() and peer.code != 0), None)
            if self._lost is not None:
                self._noticed.set()
                break
        if self._lost is not None and not self._over.wait(GRACE):
            if self._reported.is_set():
                time.sleep(PATIENCE)
            self._report()
            _end_now(self._exit_code)
        for peer in self._peers:
            peer.close()

    def _report(self) -> None:
        """Reports which rank has ended, or waits for the rank that reports it."""
        with self._reporting:
            lost = self._lost
            if self._reported.is_set() or lost is None:
                return
            before = [peer for peer in self._peers if peer.rank < self.rank and not peer.has_ended()]
            if before:
                waited = time.monotonic()
                while not before[0].has_ended() and time.monotonic() < waited + PATIENCE:
                    time.sleep(INTERVAL)
            else:
                who = f"rank {lost.rank} of {self.world} (process {lost.pid})"
                _say(f"{who} {how_it_ended(lost.code)}. {self._hint()}")
            self._reported.set()
            for child in self._children.values():
                child.kill()

    @property
    def _exit_code(self) -> int:
        code = None if self._lost is None else self._lost.code
        return code if code is not None and code > 0 else 1


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error is that of a connection to another process of the run.

    >>> is_lost_connection(RuntimeError("[pair.cc:538] gloo: Connection closed by peer [127.0.0.1]:4711"))
    True
    >>> is_lost_connection(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and bool(_LOST.search(str(error))))


def how_it_ended(code: int | None) -> str:
    """Describes an exit code in words.

    Args:
        code: as ``subprocess`` gives it; None if it is not known.

    >>> how_it_ended(-9)
    'was killed by SIGKILL (as systems do where memory runs out)'
    >>> how_it_ended(2), how_it_ended(130), how_it_ended(None)
    ('ended with exit code 2', 'was interrupted', 'has ended')
    """
    if code is None:
        return "has ended"
    if code < 0:
        memory = " (as systems do where memory runs out)" if -code == signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-code).name}{memory}"
    return "was interrupted" if code == 130 else f"ended with exit code {code}"


def _machine() -> str:
    """An identifier shared by processes that can see each other; empty if they cannot be watched."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return f"{os.getpid()}"


def _say(text: str) -> None:
    PlainConsole(stderr=True).print(Text.assemble(("error:", "bold red"), f" {text}"))


def _end_now(code: int) -> None:
    """Ends this process and its loader workers at once, although a thread may hang in a collective operation."""
    for worker in multiprocessing.active_children():
        worker.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
