"""What all tasks share: the data that they learn from, and how they are optimised."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import lightning.pytorch as pl
from torch import Tensor, nn

from weightspace.backbones.base import Backbone, check_initialised
from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.data.targets import Target
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import guard, safe_content
from weightspace.runs.loops import building, forget_metrics, has_trainer, reads_checkpoint_late
from weightspace.tasks.means import WeightedMean
from weightspace.tasks.optim import Optimisation


class Task(pl.LightningModule, ABC):
    """A LightningModule that is built for the zoo of its trainer's data module.

    Subclasses write ``make``, which builds their modules. Those with a head say which kind of target it predicts: then
    checkpoints hold the names that it has learned, and wherever the model meets other data (test, validation,
    prediction, going on), classes are told by their names: the data module serves the model's numbers, and classes
    that the model does not know are refused.

    Args:
        optimisation: of the parameters.

    Class attributes:
        head: kind of target that the model predicts, "class" or "value"; None: it has no head.
        monitor, monitor_mode: the metric that chooses the best checkpoint, and whether "max" or "min" is better.
        artefact_name: what the file of the trained network is called, without its ending.
    """

    set_by_constructor = "optimisation"

    head: ClassVar[Literal["class", "value"] | None] = None
    monitor: ClassVar[str]
    monitor_mode: ClassVar[str] = "max"
    artefact_name: ClassVar[str] = "backbone"

    def __init__(self, optimisation: Optimisation) -> None:
        super().__init__()
        self.optimisation = optimisation
        #: what the head has learned, once it is built
        self.learned: Target | None = None
        #: whether networks whose results are not finite are left out of what is measured; those who name them say so
        self.leaves_out = False
        self._made = False
        self._means = nn.ModuleDict()

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

    def configure_model(self) -> None:
        """Builds the modules for the zoo of the trainer's data module, once it is known.

        Raises:
            ConfigError: the data is not a ZooDataModule, or the task cannot learn from it.
        """
        data = self.data
        data.serve(self.learned)
        self._means = nn.ModuleDict()  # what an epoch that was cut short has left does not count
        if not self._made:
            self.check(data, self.trainer)
            self._make(data)

    def make(self, data: ZooDataModule) -> None:
        """Builds the modules for the architecture and the target of the data: once, or again for a checkpoint's."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it is made of: write make(data)")

    def _make(self, data: ZooDataModule) -> None:
        self.learned = data.target if self.head is not None else None
        self.make(data)
        check_initialised(self, type(self).__name__)
        self._made = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what the head has learned: kind and names."""
        if self.learned is not None:
            checkpoint["target"] = self.learned.to_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Has the data's classes numbered as the checkpoint's model has learned them; those without names are trusted.

        Raises:
            ConfigError: the data has classes that it does not know.
        """
        if self.head is None or "target" not in checkpoint:
            return
        saved, built = Target.from_json(checkpoint["target"]), self.learned
        if saved == built or not has_trainer(self):
            return
        data = self.data
        data.serve(saved)
        self.learned = saved
        if built is None or len(saved.names) != len(built.names):
            self._make_again(data)

    def _make_again(self, data: ZooDataModule) -> None:
        """Builds the modules for as many classes as the checkpoint has, which is read after they were built."""
        if reads_checkpoint_late(self.trainer):
            raise ConfigError(
                f"the checkpoint has learned {self.learned}, and {data.zoo.path} has not all of them: with "
                f"{type(self.trainer.strategy).__name__}, which shards the model before it reads a checkpoint, it must"
            )
        forget_metrics(self)
        with building(self.trainer):
            self._make(data)

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the task cannot learn from the data: before anything is built or written."""
        data.check_processes(trainer.world_size)
        if trainer.max_epochs == -1 and trainer.max_steps == -1:
            raise ConfigError(
                "trainer.max_epochs -1 trains without an end, but the learning rate falls over a known number of "
                "steps: give trainer.max_epochs or trainer.max_steps; trainer.max_time may end the run before"
            )

    def check_target(self, data: ZooDataModule) -> None:
        """Raises ConfigError where the target that the data serves is nothing to learn, or to be measured by.

        Asked once it is known whether a checkpoint brings the target that its model has learned.
        """

    def _check_served(self) -> None:
        self.check_target(self.data)

    # all of them come after the checkpoint has been read
    on_fit_start = on_validation_start = on_test_start = on_predict_start = _check_served

    @property
    def artefact(self) -> Backbone | None:
        """What a run leaves as a file of its own: the backbone, with its head; None: nothing that could be one."""
        backbone = getattr(self, "backbone", None)
        return backbone if isinstance(backbone, Backbone) else None

    @property
    def artefact_target(self) -> dict[str, Any] | None:
        """What that file says of its result: kind and names of the target."""
        return None if self.learned is None else self.learned.to_json()

    @property
    def encoder(self) -> Backbone:
        """The backbone that downstream tasks can use."""
        raise NotImplementedError(f"{type(self).__name__} trains no encoder")

    def measured(self, batch: WeightBatch) -> tuple[Tensor, WeightBatch]:
        """Results of those networks of a batch that are measured, and the batch of these: for validation and test."""
        results: Tensor = self(batch)
        if not self.leaves_out:
            return results, batch
        finite = results.flatten(1).isfinite().all(1)
        return results[finite], batch.select(finite)

    def log_means(
        self, means: dict[str, Tensor], count: int, prog_bar: bool = False, add_dataloader_idx: bool = True
    ) -> None:
        """Logs means over a batch's networks, as means over the networks of all processes and of the epoch.

        Args:
            means: by name, of this process's part of the batch.
            count: of the networks in it.
            prog_bar: whether to show them while training.
            add_dataloader_idx: whether Lightning numbers the names, where there are several loaders.
        """
        # Lightning, left to itself, averages the counts of the processes and rounds the average down
        for name, mean in means.items():
            if name not in self._means:
                self._means[name] = WeightedMean(mean.dtype).to(mean.device)
            metric = cast(WeightedMean, self._means[name])
            metric.update(mean, count)
            self.log(name, metric, on_step=False, on_epoch=True, batch_size=count, prog_bar=prog_bar,
                     add_dataloader_idx=add_dataloader_idx, metric_attribute=f"_means.{name}")  # fmt: skip

    def log_training_loss(self, loss: Tensor, count: int) -> None:
        """Logs ``train/loss``, the mean over the epoch's networks, and ``train/loss_step``, this process's of the step.

        Args:
            loss: mean over this process's part of the batch.
            count: of the networks in it.
        """
        self.log_means({"train/loss": loss}, count, prog_bar=True)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, batch_size=count, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine over all steps of the run."""
        steps = self.trainer.estimated_stepping_batches
        optimiser, schedule = self.optimisation.build(self, int(steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": "rate"}}
