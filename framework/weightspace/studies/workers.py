"""Where the runs of a study are computed: in processes of this machine, or as jobs of a cluster by submitit."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from weightspace.errors import ConfigError, MissingExtraError
from weightspace.files.safe_yaml import load_yaml

#: Runs commands of ``weightspace`` one after another in one process.
SEQUENCE = [sys.executable, "-m", "weightspace.cli.sequence"]
#: Exit code of a job whose own code is not known.
UNKNOWN = 1


class Job(ABC):
    """A run that has been started."""

    @abstractmethod
    def code(self) -> int | None:
        """Its exit code; None: it has not ended."""

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


class LocalWorkers(Workers):
    """Processes of this machine, which end with this one.

    Args:
        count: how many at a time, >= 1; the processor's cores are divided among them.

    Raises:
        ConfigError: the count is out of range.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ConfigError(f"workers: expected a number >= 1, found {count}")
        self.count = count
        self.threads = max(1, len(os.sched_getaffinity(0)) // count)

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


class _Process(Job):
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def code(self) -> int | None:
        return self.process.poll()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class ClusterWorkers(Workers):
    """Jobs of submitit, which go on when this process ends; the same study collects them later.

    Args:
        cluster: "slurm", or "local" for processes of this machine.
        count: jobs that are submitted at a time, >= 1.
        folder: for submitit's own files.
        options: of submitit's executor, as ``timeout_min=240`` or ``slurm_partition=gpu``.

    Raises:
        MissingExtraError: submitit is not installed.
        ConfigError: submitit does not know a value.
    """

    def __init__(self, cluster: str, count: int, folder: Path, options: list[str]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise MissingExtraError("submitit", "cluster", "a study on a cluster") from error
        if count < 1:
            raise ConfigError(f"workers: expected a number >= 1, found {count}")
        self.count, self._submitit = count, submitit
        try:
            self.executor = submitit.AutoExecutor(folder=str(folder / "%j"), cluster=cluster)
            pairs = (option.partition("=") for option in options)
            self.executor.update_parameters(**{key: load_yaml(value) for key, _, value in pairs})
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            raise ConfigError(f"cluster {cluster}: {' '.join(str(error).split())}") from error

    def start(self, commands: str, log: Path) -> Job:
        """Submits a job."""
        line = [*SEQUENCE, "--log", str(log.resolve()), commands]
        return _Submitted(self.executor.submit(self._submitit.helpers.CommandFunction(line, verbose=False)))


class _Submitted(Job):
    def __init__(self, job: Any) -> None:
        self.job = job

    def code(self) -> int | None:
        if not self.job.done():
            return None
        return 0 if self.job.exception() is None else UNKNOWN

    def stop(self) -> None:
        """Leaves it: it goes on by itself."""
