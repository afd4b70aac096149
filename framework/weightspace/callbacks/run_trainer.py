"""Lightning's trainer, which remembers who asked it to stop."""

from __future__ import annotations

import sys
from types import FrameType

import lightning.pytorch as pl
from lightning.pytorch import Callback, LightningModule

from weightspace.runs.loops import callbacks_of, has_stopped


class RunTrainer(pl.Trainer):
    """A Trainer that knows which callback (or the model) has set ``should_stop``.

    Attributes:
        stopper: the one that did; None as long as nobody has.
    """

    stopper: object | None = None
    _should_stop = False

    @property
    def should_stop(self) -> bool:
        """Whether somebody has asked to end training after this step."""
        return self._should_stop

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        if not value:
            self.stopper = None
        elif not self._should_stop:
            self.stopper = _asking(sys._getframe(1))
        self._should_stop = bool(value)


def stopper_of(trainer: pl.Trainer) -> object | None:
    """Who has asked a trainer to stop: a RunTrainer knows it; of another, a callback of Lightning's that says so."""
    if isinstance(trainer, RunTrainer):
        return trainer.stopper
    return next((callback for callback in callbacks_of(trainer) if has_stopped(callback)), None)


def _asking(frame: FrameType | None) -> object | None:
    """The callback or model whose method runs in this frame, or called it."""
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, (Callback, LightningModule)):
            return owner
        frame = frame.f_back
    return None
