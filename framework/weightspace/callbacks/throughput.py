"""Measuring the training throughput in networks per second."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.text import call_text


class Throughput(Callback):
    """Logs ``networks_per_second`` of each training epoch over all processes, including augmentation and loading.

    The first steps of a run (which allocate and compile) and validation are not counted.
    """

    __repr__ = call_text

    SKIP = 5

    def __init__(self) -> None:
        self._steps = self._networks = 0
        self._seconds = self._began = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of an epoch."""
        self._networks, self._seconds = 0, 0.0
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds the networks and the time of a batch."""
        now = time.perf_counter()
        self._steps += 1
        if self._steps > self.SKIP:
            self._networks += len(batch[0] if isinstance(batch, tuple) else batch) * trainer.world_size
            self._seconds += now - self._began
        self._began = now

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restarts the clock after a validation within an epoch."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the throughput of the epoch."""
        if self._seconds:
            pl_module.log("networks_per_second", self._networks / self._seconds, sync_dist=True)
