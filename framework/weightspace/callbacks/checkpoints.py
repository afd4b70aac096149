"""Checkpoints from which a run resumes as if it had not been interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.distributed import ask, in_any_process
from weightspace.errors import Terminated
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import epoch_ends, leave_signals, validation_follows
from weightspace.runs.stopping import end_together
from weightspace.text import call_text


class Checkpoints(Checkpoint):
    """Writes ``step-<optimiser steps>.ckpt`` at the end of every epoch, within epochs, and on SIGTERM.

    After SIGTERM in any process of the run, at the end of a step, rank 0 writes a checkpoint and all processes raise
    ``Terminated``. Within an epoch, a checkpoint is written only after an optimiser step that no validation follows,
    since the state is complete only there.

    Args:
        folder: folder of the run.
        every_n_steps: optimiser steps between checkpoints within an epoch, >= 1; None: only at the ends of epochs.
        keep: number of newest checkpoints to keep, >= 1, in addition to that of the best epoch.

    Raises:
        ConfigError: a value is out of range.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, every_n_steps: int | None = None, keep: int = 2) -> None:
        for name, value in {"every_n_steps": every_n_steps, "keep": keep}.items():
            if value is not None:
                check_whole(f"checkpoints.{name}", value, low=1)
        self.folder, self.every_n_steps, self.keep = folder, every_n_steps, keep
        self._step = 0
        self._due = self._signalled = self._ending = False
        self._asked: Callable[[], bool] | None = None

    def _note(self, *_: Any) -> None:
        self._signalled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Handles SIGTERM from now on, and removes files of a killed run: checkpoints of later steps, temporary files.

        Lightning restores the signal handler at the end.
        """
        self._step, self._signalled, self._asked = trainer.global_step, trainer.received_sigterm, None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)
            leave_signals(trainer)
        if trainer.is_global_zero:
            self.folder.remove_leftovers()
            for path in self.folder.steps():
                if path > self.folder.step(self._step):
                    path.unlink()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends the run if SIGTERM arrived since the last step."""
        self._end_if_asked(trainer)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Begins to ask whether SIGTERM has arrived in any process, which is answered during the backward pass."""
        self._asked = ask(torch.full((), self._signalled, device=pl_module.device))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves a checkpoint if one is due and possible, and ends the run after SIGTERM."""
        if trainer.global_step == self._step:  # gradients are being accumulated
            return
        self._step = trainer.global_step
        asked, self._asked = self._asked, None
        self._ending = in_any_process(self._signalled, pl_module.device) if asked is None else asked()
        self._due |= self._ending or (self.every_n_steps is not None and self._step % self.every_n_steps == 0)
        if self._due and not epoch_ends(trainer) and not validation_follows(trainer, batch_idx):
            self._save(trainer)
            self._end_if_asked(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the checkpoint of the epoch."""
        # a progress bar computes the metrics in the first process: the others follow before they communicate
        _ = trainer.callback_metrics
        self._ending = in_any_process(self._signalled, pl_module.device)
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._due = False
        trainer.save_checkpoint(self.folder.step(self._step), weights_only=False)  # else Lightning warns each time
        if trainer.is_global_zero:
            for path in self.folder.steps()[: -self.keep]:
                path.unlink()

    def _end_if_asked(self, trainer: pl.Trainer) -> None:
        if self._ending:
            saved = self.folder.step(self._step)
            end_together(trainer, Terminated(f"terminated (SIGTERM), and saved as {saved}"))
