"""The runs of a study as jobs of a cluster, by submitit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from weightspace.checks import check_whole
from weightspace.errors import ConfigError, MissingExtraError
from weightspace.files import write_whole
from weightspace.studies.workers import SEQUENCE, Job, Workers

#: Exit code of a job whose own code is not known.
UNKNOWN = 1


class ClusterWorkers(Workers):
    """Jobs of submitit, which go on when this process ends; the same study collects them later.

    Args:
        cluster: "slurm", or "local" for processes of this machine.
        count: jobs that are submitted at a time, >= 1.
        folder: for submitit's own files.
        options: of submitit's executor, as {"timeout_min": 240, "slurm_partition": "gpu"}.

    Raises:
        MissingExtraError: submitit is not installed.
        ConfigError: submitit does not know a value.
    """

    def __init__(self, cluster: str, count: int, folder: Path, options: dict[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise MissingExtraError("submitit", "cluster", "a study on a cluster") from error
        self.count = check_whole("workers", count, low=1)
        self.cluster, self.folder, self._options, self._submitit = cluster, folder / "%j", options, submitit
        try:
            with tempfile.TemporaryDirectory() as trial:  # an executor makes its folder
                self._executor(Path(trial))
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            raise ConfigError(f"cluster {cluster}: {' '.join(str(error).split())}") from error

    def _executor(self, folder: Path) -> Any:
        executor = self._submitit.AutoExecutor(folder=str(folder), cluster=self.cluster)
        executor.update_parameters(**self._options)
        return executor

    def start(self, commands: str, log: Path) -> Job:
        """Submits a job."""
        line = [*SEQUENCE, "--log", str(log.resolve()), commands]
        job = self._executor(self.folder).submit(self._submitit.helpers.CommandFunction(line, verbose=False))
        write_whole(_note(log), f"{job.job_id}\n".encode())
        return _Submitted(job)

    def running(self, log: Path) -> Job | None:
        """The job that was submitted for this log, unless it has ended."""
        if not _note(log).is_file():
            return None
        number = _note(log).read_text(encoding="utf-8").strip()
        if not number or (self.cluster == "local" and not number.isdecimal()):
            return None  # of a job of which it is not known whether there is one
        if self.cluster == "local":
            return _Orphan(int(number)) if _runs(int(number)) else None
        job: Any = self._submitit.SlurmJob(folder=self.folder, job_id=number)
        return None if job.done() else _Submitted(job)


def _note(log: Path) -> Path:
    """The file with the number of the job whose log this is."""
    return log.with_suffix(".job")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):  # it has ended, and another user's process may have its number
        return False
    return True


class _Submitted(Job):
    def __init__(self, job: Any) -> None:
        self.job = job

    def code(self) -> int | None:
        """0, or ``UNKNOWN`` of a job that has failed."""
        if not self.job.done():
            return None
        return 0 if self.job.exception() is None else UNKNOWN

    def reason(self) -> str:
        """What submitit says, for instance of a time limit; the commands' own errors are in the log."""
        lines = str(self.job.exception() or "").splitlines()
        return "" if not lines or lines[-1].endswith("FailedJobError") else lines[-1]

    def stop(self) -> None:
        """Leaves it: it goes on by itself."""


class _Orphan(Job):
    """A job of submitit's local executor whose submitter has gone: its results say how it ended."""

    def __init__(self, process: int) -> None:
        self.process = process

    def code(self) -> int | None:
        """0 once the process has gone."""
        return None if _runs(self.process) else 0

    def stop(self) -> None:
        """Leaves it: it goes on by itself."""
