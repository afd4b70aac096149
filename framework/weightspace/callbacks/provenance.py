"""Writes down what a run was made of, and what came out."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from importlib.metadata import entry_points
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback

from weightspace.callbacks.best_checkpoint import best_of
from weightspace.callbacks.measured import measured
from weightspace.data import ZooDataModule
from weightspace.entry_points import distribution
from weightspace.run_folder import RunFolder
from weightspace.version import __version__

#: Entry points by which a run finds code of others.
GROUPS = ("weightspace.augmentations", "weightspace.backbones", "weightspace.sources")


class Provenance(Callback):
    """Writes ``provenance.json`` when training starts, and ``metrics.json`` when a command ends.

    Args:
        folder: of the run.
        seed: of the run.

    Attributes:
        trained: whether there was something left to train.
    """

    def __init__(self, folder: RunFolder, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self._began, self.trained = 0.0, False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes ``provenance.json``."""
        self._began = time.perf_counter()
        if not trainer.is_global_zero:
            return
        data = cast(Any, trainer).datamodule
        zoo = {"path": str(data.zoo.path), "digest": data.zoo.digest} if isinstance(data, ZooDataModule) else None
        content = {
            "seed": self.seed,
            "processes": trainer.world_size,
            "zoo": zoo,
            "parameters": sum(p.numel() for p in pl_module.parameters()),
            "git_revision": _git_revision(),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "lightning": pl.__version__,
                "weightspace": __version__,
            },
            "plugins": sorted({distribution(point) for group in GROUPS for point in entry_points(group=group)}),
            "command": sys.argv,
        }
        self.folder.write_json("provenance.json", content)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Notes that there was something left to train."""
        self.trained = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the last epoch's metrics, the best score, and the time (of the last part, if the run was resumed)."""
        if not self.trained:
            return
        checkpoint = best_of(trainer)
        extra = {"seconds": time.perf_counter() - self._began, "epochs": trainer.current_epoch}
        best = getattr(checkpoint, "best_model_score", None)
        if checkpoint is not None and best is not None:
            extra[f"best {checkpoint.monitor}"] = float(best)
        self._write(trainer, "fit", extra)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the test metrics."""
        self._write(trainer, "test", {})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the metrics of the command ``validate``."""
        if trainer.state.fn == "validate":
            self._write(trainer, "validate", {})

    def _write(self, trainer: pl.Trainer, command: str, extra: dict[str, float]) -> None:
        found = measured(trainer)  # in all processes together
        if not trainer.is_global_zero:
            return
        self.folder.add_metrics(command, {**found, **extra})


def _git_revision() -> str | None:
    """Commit of the folder in which the command runs; None outside a repository."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
