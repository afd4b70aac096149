"""Preparing the folder of a run with a plain Trainer, in which one process at a time may train."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback
from lightning.pytorch.plugins import AsyncCheckpointIO

from weightspace.callbacks.best_checkpoint import check_names
from weightspace.distributed import in_any_process
from weightspace.errors import ConfigError
from weightspace.files.lock import Lock
from weightspace.runs.checkpoint_io import guard
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import callbacks_of, is_trial
from weightspace.runs.stopping import end_together
from weightspace.text import call_text


class RunStart(Callback):
    """Locks and prepares the run's folder when training starts, refuses existing runs, and makes checkpoints atomic.

    In a trial with ``fast_dev_run`` it removes the callbacks that write from the trainer.

    Args:
        folder: folder of the run.
        overwrite: whether an existing run is removed, if training does not resume.
        writing: callbacks that write to the folder, which are after this one in the trainer.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, overwrite: bool, writing: Collection[Callback]) -> None:
        self.folder, self.overwrite, self.writing = folder, overwrite, writing
        self._lock: Lock | None = None
        self._before = self._there()

    def _there(self) -> list[Path]:
        """Files in the folder before training, without those that a logger writes later, which must not be removed."""
        return list(self.folder.path.iterdir()) if self.folder.path.is_dir() else []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Checks that the trainer can keep a run, and replaces its checkpoint plugin."""
        if is_trial(trainer):
            callbacks = callbacks_of(trainer)
            callbacks[:] = [callback for callback in callbacks if callback not in self.writing]
        else:
            check_trainer_keeps(trainer, self.folder)
            if stage == "fit":
                check_work(trainer)
        guard(trainer)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepares the folder in the first process."""
        if is_trial(trainer):
            return
        error: Exception | None = None
        if trainer.is_global_zero:
            try:
                self._prepare(resuming=trainer.ckpt_path is not None)
            except ConfigError as raised:
                error = raised
        if in_any_process(error is not None, pl_module.device):
            end_together(trainer, error or ConfigError(f"the first process cannot train in {self.folder.path}"))

    def _prepare(self, resuming: bool) -> None:
        self._lock = self.folder.lock()
        self.folder.prepare(self._lock, resuming, self.overwrite, self._before)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Releases the folder."""
        self._leave()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Releases the folder."""
        self._leave()

    def _leave(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock, self._before = None, self._there()


def check_trainer_keeps(trainer: pl.Trainer, folder: RunFolder) -> None:
    """Raises ConfigError if a trainer's callbacks or plugins would damage the checkpoints of a run.

    Args:
        trainer: trainer with all its callbacks.
        folder: folder of the run.
    """
    check_names(callbacks_of(trainer), folder)
    check_writer(trainer.strategy.checkpoint_io)


def check_writer(writer: Any) -> None:
    """Raises ConfigError if a plugin, or one that it wraps, writes checkpoints asynchronously.

    Args:
        writer: checkpoint plugin of the trainer.
    """
    while writer is not None:
        if isinstance(writer, AsyncCheckpointIO):
            raise ConfigError(
                "trainer.plugins: AsyncCheckpointIO writes a checkpoint later, but a run relies on "
                "each from then on (best.ckpt, which of them are kept, how it resumes after a kill): leave it out"
            )
        writer = getattr(writer, "checkpoint_io", None) or getattr(writer, "writer", None)


def check_work(trainer: pl.Trainer) -> None:
    """Refuses to fit for zero epochs, steps or batches, which would make a run without a trained model.

    Raises:
        ConfigError: such an option is 0; the message names it.
    """
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if getattr(trainer, name) == 0:
            raise ConfigError(f"trainer.{name} is 0: nothing would be trained. Take at least 1, or leave it out")
