"""Where the runs of a study are computed: in processes of this machine, or as jobs of a cluster (``cluster``)."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from weightspace.checks import check_whole

#: Runs commands of ``weightspace`` one after another in one process.
SEQUENCE = [sys.executable, "-m", "weightspace.cli.sequence"]


class Job(ABC):
    """A run that has been started."""

    @abstractmethod
    def code(self) -> int | None:
        """Its exit code; None: it has not ended."""

    def reason(self) -> str:
        """Why it failed; empty: its last line says it."""
        return ""

    @abstractmethod
    def stop(self) -> None:
        """Ends it at once."""


class Workers(ABC):
    """Computes runs.

    Attributes:
        count: how many at a time.
    """

    count: int

    @abstractmethod
    def start(self, commands: str, log: Path) -> Job:
        """Starts a run.

        Args:
            commands: argument of ``weightspace.cli.sequence``.
            log: file for what the commands print.
        """

    def running(self, log: Path) -> Job | None:
        """The run with this log that an earlier process has started, if it can still be running; None: there is none.

        Args:
            log: file for what the commands print.
        """
        return None


class LocalWorkers(Workers):
    """Processes of this machine, which end with this one.

    Args:
        count: how many at a time, >= 1; the processor's cores are divided among them.

    Raises:
        ConfigError: the count is out of range.
    """

    def __init__(self, count: int) -> None:
        self.count = check_whole("workers", count, low=1)
        self.threads = max(1, _cores() // count)

    def start(self, commands: str, log: Path) -> Job:
        """Starts a process."""
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads)} if self.count > 1 else None
        with log.open("ab") as file:
            return _Process(
                subprocess.Popen(
                    [*SEQUENCE, "--with-parent", commands],
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            )


def _cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process(Job):
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def code(self) -> int | None:
        """That of the process."""
        code = self.process.poll()
        if code is not None and self.process.stdin is not None:
            self.process.stdin.close()
        return code

    def stop(self) -> None:
        """Kills the process."""
        self.process.kill()
        self.process.wait()
        self.code()
