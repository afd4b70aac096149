"""Checkpoints from which a run goes on as if it had never been cut."""

from __future__ import annotations

import signal
import threading
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from weightspace.callbacks.stopping import end_together
from weightspace.checks import check_whole
from weightspace.distributed import in_any_process
from weightspace.errors import Terminated
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import epoch_ends, validation_follows


class Checkpoints(Checkpoint):
    """Writes ``step-<optimiser steps>.ckpt`` at the end of every epoch, within epochs, and when told to end.

    SIGTERM, in whichever process of the run it arrives, is answered at the end of a step: all processes agree, one
    writes a checkpoint, and ``Terminated`` is raised in each. Within an epoch a checkpoint is written only after an
    optimiser step that no validation follows, since there nothing is half done.

    Args:
        folder: of the run.
        every_n_steps: optimiser steps between checkpoints within an epoch, >= 1; None: at the ends of epochs only.
        keep: how many of the newest to keep, >= 1. That of the best epoch is kept besides.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, folder: RunFolder, every_n_steps: int | None = None, keep: int = 2) -> None:
        for name, value in {"every_n_steps": every_n_steps, "keep": keep}.items():
            if value is not None:
                check_whole(f"checkpoints.{name}", value, low=1)
        self.folder, self.every_n_steps, self.keep = folder, every_n_steps, keep
        self._step = 0
        self._due = self._signalled = self._ending = False

    def _note(self, *_: Any) -> None:
        self._signalled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes over SIGTERM, and removes what a killed run has left: checkpoints of later steps, halves of files.

        Lightning gives the signal back, at the end, to whom it belonged before.
        """
        self._step, self._signalled = trainer.global_step, trainer.received_sigterm
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)
        if trainer.is_global_zero:
            self.folder.remove_leftovers()
            for path in self.folder.steps():
                if path > self.folder.step(self._step):
                    path.unlink()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends, where the epoch before was the last that was allowed."""
        self._end_if_asked(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves where it is due, and possible."""
        if trainer.global_step == self._step:  # gradients are still being accumulated
            return
        self._step = trainer.global_step
        self._ending = in_any_process(self._signalled, pl_module.device)
        self._due |= self._ending or (self.every_n_steps is not None and self._step % self.every_n_steps == 0)
        if self._due and not epoch_ends(trainer) and not validation_follows(trainer, batch_idx):
            self._save(trainer)
            self._end_if_asked(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves."""
        # a progress bar has had the metrics computed in the first process: the others follow, before they talk
        _ = trainer.callback_metrics
        self._ending = in_any_process(self._signalled, pl_module.device)
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._due = False
        trainer.save_checkpoint(self.folder.step(self._step), weights_only=False)  # else Lightning says each time
        if trainer.is_global_zero:
            for path in self.folder.steps()[: -self.keep]:
                path.unlink()

    def _end_if_asked(self, trainer: pl.Trainer) -> None:
        if self._ending:
            saved = self.folder.step(self._step)
            end_together(trainer, Terminated(f"terminated (SIGTERM), and saved as {saved}"))
