"""Writing configuration and final metrics to the HPARAMS of TensorBoard."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from weightspace.callbacks.best_checkpoint import best_of
from weightspace.callbacks.measured import measured
from weightspace.runs.flat_config import read_flat
from weightspace.runs.folder import RunFolder
from weightspace.text import call_text


class Hyperparameters(Callback):
    """Writes the run's resolved configuration to ``hparams.yaml`` and, at the end, with the last metrics as
    ``final/...``, to TensorBoard's events, where a resumed run is a single row.

    Args:
        folder: folder of the run.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._trained = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Passes the configuration to the logger before it writes its file."""
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.log_hyperparams(self._config())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Records that training has started."""
        self._trained = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes configuration and final metrics to TensorBoard's events."""
        metrics = {f"final/{name}": value for name, value in measured(trainer).items()}
        best = best_of(trainer)
        if best is not None and best.best_model_score is not None:
            metrics[f"best/{best.monitor}"] = float(best.best_model_score)
        if self._trained and isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.log_hyperparams(self._config(), metrics, trainer.global_step)

    def _config(self) -> dict[str, Any]:
        return read_flat(self.folder.path / "config.yaml")
