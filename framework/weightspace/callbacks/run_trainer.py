"""A Lightning Trainer that records what requested the end of training."""

from __future__ import annotations

import sys
from types import FrameType

import lightning.pytorch as pl
from lightning.pytorch import Callback, LightningModule

from weightspace.runs.loops import callbacks_of, has_stopped


class RunTrainer(pl.Trainer):
    """A Trainer that records which callback (or the model) has set ``should_stop``.

    Attributes:
        stopper: the callback or model that set it; None if it is not set.
    """

    stopper: object | None = None
    _should_stop = False

    @property
    def should_stop(self) -> bool:
        """Whether training should end after this step."""
        return self._should_stop

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        if not value:
            self.stopper = None
        elif not self._should_stop:
            self.stopper = _asking(sys._getframe(1))
        self._should_stop = bool(value)


def stopper_of(trainer: pl.Trainer) -> object | None:
    """What has requested the end of training: recorded by a RunTrainer, else found among Lightning's callbacks."""
    if isinstance(trainer, RunTrainer):
        return trainer.stopper
    return next((callback for callback in callbacks_of(trainer) if has_stopped(callback)), None)


def _asking(frame: FrameType | None) -> object | None:
    """The callback or model whose method runs in this frame or one of its callers."""
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, (Callback, LightningModule)):
            return owner
        frame = frame.f_back
    return None
