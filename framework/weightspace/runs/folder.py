"""The folder of a run: ``runs/<experiment>/<seed>/``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightspace.errors import ConfigError
from weightspace.files import read_json, write_whole
from weightspace.files.lock import Lock

#: Default folder of all runs.
RUNS = "runs"
#: Name of the file that is locked during training.
LOCK = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """The folder in which a run keeps its files.

    ``config.yaml`` (resolved), ``provenance.json``, ``checkpoints/best.ckpt`` and ``step-*.ckpt``, TensorBoard's event
    files, ``pictures/`` and ``metrics.json`` (at the end).
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.path / "pictures"

    @property
    def metrics_file(self) -> Path:
        """Final metrics by command: {"fit": {...}, "test": {...}}."""
        return self.path / "metrics.json"

    def step(self, step: int) -> Path:
        """Path of the checkpoint after ``step`` optimiser steps."""
        return self.checkpoints / f"step-{step:08d}.ckpt"

    def steps(self) -> list[Path]:
        """Paths of the checkpoints by step, oldest first."""
        return sorted(self.checkpoints.glob("step-*.ckpt"))

    def checkpoint(self, name: str) -> Path:
        """Path of the best checkpoint (``best``), the newest one (``last``), or a file.

        Raises:
            ConfigError: there is no such checkpoint.
        """
        path = Path(name)
        if name == "best":
            path = self.checkpoints / "best.ckpt"
        elif name == "last":
            path = (self.steps() or [self.checkpoints / "step-*.ckpt"])[-1]
        if not path.is_file():
            there = sorted(str(p) for p in self.checkpoints.glob("*.ckpt"))
            hint = f"there is {', '.join(there)}" if there else f"train first (no run at {self.path})"
            raise ConfigError(f"ckpt_path {name}: expected {path}, found nothing: {hint}")
        return path

    def remove_leftovers(self) -> None:
        """Removes temporary files of processes that were killed while writing a checkpoint."""
        for leftover in self.checkpoints.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    @property
    def holds_run(self) -> bool:
        """Whether the folder contains a run that has finished, or can be resumed.

        A run that ended within its first epoch may have left ``best.ckpt`` alone: training cannot resume from that.
        """
        return bool(self.steps()) or self.metrics_file.exists()

    def check_free(self) -> None:
        """Raises ConfigError if a new run would replace an existing one."""
        if self.holds_run:
            state = "a finished" if self.metrics_file.exists() else "an unfinished"
            raise ConfigError(
                f"{self.path} holds {state} run: resume it with ckpt_path=last, replace it with "
                "overwrite=true, or choose another folder (seed_everything or experiment)"
            )

    def lock(self) -> Lock:
        """The lock on the file ``.lock``, which ensures that one process at a time trains in this folder."""
        busy = ConfigError(
            f"another process is training in {self.path}: wait for it, stop it, or choose another folder "
            "(seed_everything or experiment)"
        )
        return Lock(self.path / LOCK, busy)

    def prepare(self, lock: Lock, resuming: bool, replacing: bool, old: Collection[Path] | None = None) -> None:
        """Creates the folder for a training run; a new run removes the files of an earlier one.

        Args:
            lock: see ``lock``; it is acquired if it is not held yet.
            resuming: whether the run resumes from a checkpoint.
            replacing: whether an existing run may be replaced.
            old: files of an earlier run in the folder; None: all files.

        Raises:
            ConfigError: the folder cannot be created, another process trains in it, or it contains a run.
        """
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            if not (resuming or replacing):
                self.check_free()
            if not resuming and (self.holds_run or (self.path / "provenance.json").exists()):
                for path in list(self.path.iterdir() if old is None else old):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    elif path.name != LOCK:  # another process may wait for it
                        path.unlink(missing_ok=True)
            elif not resuming:  # what a start has left that was cut before it was a run
                for path in self.path.glob("config*.yaml"):
                    path.unlink()
            self.checkpoints.mkdir(parents=True, exist_ok=True)

    def take(self, lock: Lock) -> None:
        """Acquires the lock if the folder exists.

        Raises:
            ConfigError: another process trains in the folder, or it cannot be written.
        """
        if self.path.is_dir():
            with self._writing():
                lock.acquire()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(f"the run's folder {self.path} cannot be written: {error.strerror or error}") from error

    def read_metrics(self) -> dict[str, dict[str, float]]:
        """Reads ``metrics.json``; empty if there is no such file.

        Raises:
            ConfigError: the file is damaged.
        """
        if not self.metrics_file.exists():
            return {}
        metrics = read_json(self.metrics_file, ConfigError, "the metrics of a run")
        for command, measured in metrics.items():
            if not isinstance(measured, dict):
                raise ConfigError(
                    f"{self.metrics_file} should be the metrics of a run, by command; {command!r} has no metrics"
                )
        return metrics

    def has_ended(self, step: int) -> bool:
        """Whether all files that a run writes at its end after ``step`` steps exist.

        Raises:
            ConfigError: ``ending.json`` or ``metrics.json`` is damaged.
        """
        ending = self.read_ending()
        return ending.get("step") == step if ending else "fit" in self.read_metrics()

    def read_ending(self) -> dict[str, Any]:
        """Reads ``ending.json``: step, epochs and reason of the end of a run; empty if there is no such file."""
        path = self.path / "ending.json"
        return read_json(path, ConfigError, "the ending of a run") if path.exists() else {}

    def add_metrics(self, command: str, measured: dict[str, float]) -> None:
        """Adds the metrics of a command to ``metrics.json``, to which other processes may write at the same time."""
        self.path.mkdir(parents=True, exist_ok=True)
        with Lock(self.path, folder=True):
            self.write_json("metrics.json", {**self.read_metrics(), command: measured})

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file atomically."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
