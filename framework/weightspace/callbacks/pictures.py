"""Writing pictures to TensorBoard and to the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure

from weightspace.backbones.embedding import evaluating
from weightspace.callbacks.confusions import confusions
from weightspace.data import ZooDataModule
from weightspace.figures.augmentation import chain_figure
from weightspace.figures.edit import edit_figure
from weightspace.figures.images import save_figure
from weightspace.figures.runs import confusion_figure
from weightspace.tasks.edit import EditTask
from weightspace.text import call_text


class Pictures(Callback):
    """Draws decoded networks before and after the augmentation chain, confusion matrices, and networks that are edited.

    They are written as PNG files to ``folder`` and, if there is a TensorBoard logger, to its images.

    Args:
        folder: folder of the pictures, for instance ``runs/x/0/pictures``.
        count: number of networks in the picture of the chain.
        side: number of pixels per side of a decoded network.
    """

    __repr__ = call_text

    def __init__(self, folder: str | Path, count: int = 10, side: int = 28) -> None:
        self.folder, self.count, self.side = Path(folder), count, side

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the first training networks before and after the chain (2-D networks)."""
        data = cast(Any, trainer).datamodule
        if not trainer.is_global_zero or not isinstance(data, ZooDataModule) or data.spec.coordinates != 2:
            return
        before = data.training_batch(limit=self.count)
        with torch.no_grad():
            after = data.chain(before)
        figure = chain_figure(before, after, self.side, data.zoo.value_range, data.class_names)
        self._draw(trainer, "augmentation", figure)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the confusion matrix of the validation of a classifier."""
        if not trainer.sanity_checking:
            self._confusions(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws validation networks before and after their edit."""
        self._edits(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the confusion matrices of the tests of a classifier, or test networks before and after their edit."""
        self._confusions(trainer, pl_module)
        self._edits(trainer, pl_module, "test")

    def _edits(self, trainer: pl.Trainer, pl_module: pl.LightningModule, split: str) -> None:
        data = cast(Any, trainer).datamodule
        if trainer.is_global_zero and isinstance(pl_module, EditTask) and isinstance(data, ZooDataModule):
            batch = data.evaluation_batch(split, limit=self.count).to(pl_module.device)
            if len(batch):
                with evaluating(pl_module):
                    self._draw(trainer, f"edit_{split}", edit_figure(pl_module.pictures(batch)))

    def _confusions(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        matrices, names = confusions(trainer, pl_module)
        for name, matrix in matrices.items():
            self._draw(trainer, f"confusion_{name}", confusion_figure(matrix, names))

    def _draw(self, trainer: pl.Trainer, name: str, figure: Figure) -> None:
        pixels = save_figure(figure, self.folder / f"{name}.png")
        if isinstance(trainer.logger, TensorBoardLogger):  # drawn once for both, since drawing is slow
            trainer.logger.experiment.add_image(name, pixels[..., :3], trainer.global_step, dataformats="HWC")
