"""How many networks per second a run trains on."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback


class Throughput(Callback):
    """Logs ``networks_per_second`` of each training epoch: all processes, augmentation and loading included.

    The first steps of a run are left out (they allocate and compile). Validation is not counted.
    """

    SKIP = 5

    def __init__(self) -> None:
        self._steps = self._networks = 0
        self._seconds = self._began = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._networks, self._seconds = 0, 0.0
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts networks and time."""
        now = time.perf_counter()
        self._steps += 1
        if self._steps > self.SKIP:
            self._networks += len(batch[0] if isinstance(batch, tuple) else batch) * trainer.world_size
            self._seconds += now - self._began
        self._began = now

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock again, where validation runs within an epoch."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the rate."""
        if self._seconds:
            pl_module.log("networks_per_second", self._networks / self._seconds, sync_dist=True)
