"""Writing the trained network to a file of its own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from weightspace.backbones.artefact import save_backbone
from weightspace.callbacks.best_checkpoint import best_of
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.tasks import Task
from weightspace.text import call_text


class EncoderFile(Checkpoint):
    """Writes ``backbone.safetensors`` at the end of training, and ``backbone_best.safetensors`` at each best epoch.

    For pretraining, they are ``encoder.safetensors`` and ``encoder_best.safetensors``.

    It is a checkpoint callback, so that it runs after the one that determines the best epoch: in a plain trainer, list
    it after its ``ModelCheckpoint``.

    Args:
        folder: folder of the run.
    """

    __repr__ = call_text

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        #: score of the best network written so far
        self._best: float | None = None
        self._resumed = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the best network so far if the run resumes: its file may be of a later epoch, or not be there yet."""
        self._best = _best_score(trainer)
        best = best_of(trainer)
        if self._resumed and best is not None and trainer.is_global_zero:
            self._write_from(best.best_model_path, trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the network if this epoch is the best."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._keep_best(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the network if this epoch is the best and its checkpoint is saved only now."""
        self._keep_best(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the network of the last epoch, before ``metrics.json`` says that the run has ended."""
        self._write(trainer, pl_module, "")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the network of the last epoch, also where a run that is resumed has nothing left to train."""
        self._write(trainer, pl_module, "")

    def state_dict(self) -> dict[str, Any]:
        """Returns the best score so far."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Notes that the run resumes: the best score is then that of the best checkpoint."""
        self._resumed = True

    def _keep_best(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = _best_score(trainer)
        if score is not None and score != self._best:
            self._best = score
            self._write(trainer, pl_module, "_best")

    def _write_from(self, checkpoint: str, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = {name: value.clone() for name, value in pl_module.state_dict().items()}
        with suppress(ConfigError):  # there is none, or it is damaged: the file remains as it is
            pl_module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
            self._write(trainer, pl_module, "_best")
        pl_module.load_state_dict(now)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule, suffix: str) -> None:
        if not trainer.is_global_zero or not isinstance(pl_module, Task) or pl_module.artefact is None:
            return
        path = self.folder / f"{pl_module.artefact_name}{suffix}.safetensors"
        save_backbone(pl_module.artefact, path, pl_module.artefact_target, pl_module.trained_on)


def _best_score(trainer: pl.Trainer) -> float | None:
    score = getattr(best_of(trainer), "best_model_score", None)
    return None if score is None else float(score)
