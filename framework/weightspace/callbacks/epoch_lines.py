"""Progress for logs and pipes: one line per epoch."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar

from weightspace.callbacks.measured import measured


class EpochLines(ProgressBar):
    """Prints a line after each epoch: its metrics, the rate and the time left."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._began = 0.0
        self._first_epoch = 0

    def disable(self) -> None:
        """Called by Lightning on processes other than the first."""
        self._enabled = False

    def enable(self) -> None:
        """Undoes ``disable``."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._began, self._first_epoch = time.perf_counter(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prints the line."""
        found = measured(trainer)  # in all processes, which compute them together
        if not self._enabled:
            return
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        metrics = {k: v for k, v in found.items() if k.startswith(("train/", "val/"))}
        parts = [f"{name} {value:.4g}" for name, value in sorted(metrics.items())]
        print(f"epoch {done}/{total}: {', '.join(parts)}{self._left(done, total)}", flush=True)

    def _left(self, done: int, total: int) -> str:
        if total < done:
            return ""
        per_epoch = (time.perf_counter() - self._began) / (done - self._first_epoch)
        return f" - {per_epoch:.1f} s per epoch, {per_epoch * (total - done):.0f} s left"

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Nothing: the line shows the logged metrics."""
        return {}
