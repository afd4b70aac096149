"""What all tasks share: the data that they learn from, and how they are optimised."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import Any, ClassVar, cast

import lightning.pytorch as pl
from torch import Tensor

from weightspace.backbones.base import Backbone
from weightspace.checkpoint_io import guard, safe_content
from weightspace.data import ZooDataModule
from weightspace.distributed import processes, total
from weightspace.errors import ConfigError
from weightspace.tasks.optim import Optimisation


class Task(pl.LightningModule, ABC):
    """A LightningModule that is built for the zoo of its trainer's data module.

    Args:
        optimisation: of the parameters.

    Class facts:
        monitor, monitor_mode: the metric that chooses the best checkpoint, and whether "max" or "min" is better.
        trains_encoder: whether ``encoder`` is what a run is for, so that it gets a file of its own.
    """

    monitor: ClassVar[str]
    monitor_mode: ClassVar[str] = "max"
    trains_encoder: ClassVar[bool] = False

    def __init__(self, optimisation: Optimisation) -> None:
        super().__init__()
        self.optimisation = optimisation

    def setup(self, stage: str) -> None:
        """Has the trainer, which may be that of a script, unpickle no checkpoint."""
        guard(self.trainer)

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *arguments: Any, **named: Any) -> Any:
        """Lightning's, which would unpickle what comes from an address: here nothing is unpickled.

        Raises:
            ConfigError: the checkpoint is missing, cut, altered, of something else, or would have to be unpickled.
        """
        if isinstance(checkpoint_path, (str, Path)):
            checkpoint_path = safe_content(checkpoint_path)
        return super().load_from_checkpoint(checkpoint_path, *arguments, **{**named, "weights_only": True})

    @property
    def data(self) -> ZooDataModule:
        """The data module.

        Raises:
            ConfigError: there is none, or another.
        """
        data = cast(Any, self.trainer).datamodule
        if not isinstance(data, ZooDataModule):
            name = type(self).__name__
            raise ConfigError(f"{name} needs a ZooDataModule: it takes the architecture from the zoo")
        return data

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the task cannot learn from the data: before anything is built or written."""
        data.check_processes(trainer.world_size)

    @property
    def encoder(self) -> Backbone:
        """The backbone that downstream tasks can use."""
        raise NotImplementedError(f"{type(self).__name__} trains no encoder")

    def log_means(self, means: dict[str, Tensor], count: int, prog_bar: bool = False) -> None:
        """Logs means over a batch's networks, as means over the networks of all processes and of the epoch.

        Args:
            means: by name, of this process's part of the batch.
            count: of the networks in it.
            prog_bar: whether to show them while training.
        """
        # Lightning, left to itself, averages the counts of the processes and rounds the average down
        everywhere = total(count, self.device)
        for name, mean in means.items():
            part = mean * (processes() * count / everywhere)
            self.log(name, part, on_step=False, on_epoch=True, batch_size=int(everywhere), sync_dist=True,
                     prog_bar=prog_bar)  # fmt: skip

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine over all steps of the run."""
        steps = self.trainer.estimated_stepping_batches
        optimiser, schedule = self.optimisation.build(self, int(steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
