"""The trained network as a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from weightspace.callbacks.best_checkpoint import best_of
from weightspace.encoder import save_encoder
from weightspace.tasks import Task


class EncoderFile(Checkpoint):
    """Writes ``backbone.safetensors`` at the end of training, and ``backbone_best.safetensors`` at each best epoch.

    Of contrastive training, they are ``encoder.safetensors`` and ``encoder_best.safetensors``.

    A checkpoint callback, so that it runs after the one that knows which epoch is the best.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._best: float | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the best, where this epoch is."""
        score = getattr(best_of(trainer), "best_model_score", None)
        if trainer.sanity_checking or trainer.state.fn != "fit" or score is None or float(score) == self._best:
            return
        self._best = float(score)
        self._write(trainer, pl_module, "_best")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the last."""
        self._write(trainer, pl_module, "")

    def state_dict(self) -> dict[str, Any]:
        """The best score so far."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it from a checkpoint."""
        self._best = state_dict["best"]

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule, suffix: str) -> None:
        if not trainer.is_global_zero or not isinstance(pl_module, Task) or pl_module.artefact is None:
            return
        path = self.folder / f"{pl_module.artefact_name}{suffix}.safetensors"
        save_encoder(path, pl_module.artefact, pl_module.artefact_target)
