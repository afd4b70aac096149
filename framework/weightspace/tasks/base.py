"""What all tasks share: the data that they learn from, the steps, and how they are optimised."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import lightning.pytorch as pl
from torch import Tensor, nn
from torchmetrics import Metric

from weightspace.backbones.factory import BackboneFactory, backbone_factory, build_backbone
from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.distributed import share
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks.learned import compared
from weightspace.tasks.means import WeightedMean
from weightspace.tasks.module import ZooModule
from weightspace.tasks.optim import LRSchedulerCallable, Optimisation, OptimizerCallable, Role

#: What a test set is called in metrics: objects that no training network stores, and unseen views of those that do.
TEST_NAMES = ("test", "internal_test")
#: What metrics are measured on.
STAGES = ("train", "val", *TEST_NAMES)


class Task(ZooModule):
    """A LightningModule that is built for the zoo of its trainer's data module: a template for tasks.

    A subclass says what its ``head`` predicts and which metric is its ``monitor``, and writes ``loss``. It may write
    ``metrics``; ``build`` and ``prepare``, where there is more to build than the backbone; and steps of its own.

    Args:
        backbone: class of the network, with its arguments (``DWS.partial(hidden=16)``): the zoo gives it the
            architecture and the length of its result. Or one that is built already, for this architecture and length:
            it is trained from the weights that it has, and its normaliser is fitted to the training networks.
        learning_rate: peak of AdamW's rate, > 0.
        weight_decay: AdamW's, on matrices only, >= 0.
        warmup: part of all steps with a rising rate, before the cosine, in [0, 1).
        compile: run the backbone through ``torch.compile``.
        optimizer: makes another optimiser, of the parameters, in the place of AdamW.
        scheduler: makes another schedule, of the optimiser, in the place of warm-up and cosine.
        scheduler_interval: whether ``scheduler`` is stepped after each "epoch" or "step".

    Class attributes:
        head: kind of target that the model predicts, "class" or "value"; None: it has no head.
        pairs: whether it learns from pairs of batches, which ``data.positives`` makes.
        monitor, monitor_mode: the metric that chooses the best checkpoint, and whether "max" or "min" is better.
        artefact_name: what the file of the trained network is called, without its ending.

    Raises:
        ConfigError: an argument out of range, of another type, or that another would have ignored.
    """

    set_by_constructor = "optimisation"

    monitor: ClassVar[str]
    monitor_mode: ClassVar[str] = "max"
    artefact_name: ClassVar[str] = "backbone"

    def __init__(
        self,
        backbone: BackboneFactory,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        compile: bool = False,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: str = "epoch",
    ) -> None:
        super().__init__()
        self.make_backbone = backbone_factory(backbone, f"{type(self).__name__}: backbone")
        self.optimisation = Optimisation(learning_rate, weight_decay, warmup, optimizer, scheduler, scheduler_interval)
        self.compile_backbone = compile
        #: whether networks whose results are not finite are left out of what is measured; those who name them say so
        self.leaves_out = False
        self._means = nn.ModuleDict()
        self._metrics = nn.ModuleDict()

    def build(self, spec: NetworkSpec) -> None:
        """Makes the modules for networks of this architecture, from which a checkpoint is read as well.

        Default: ``self.backbone``, with a result of length ``out_dim``. Sizes depend on these two and the arguments
        alone; what depends on the data is set in ``prepare``.
        """
        self.backbone = build_backbone(self.make_backbone, spec, self.out_dim)

    def prepare(self, data: ZooDataModule) -> None:
        """Sets what the modules know of the training networks. Default: the statistics of the backbone's normaliser."""
        self.backbone.fit_normaliser(data.training_batch())

    def _make(self, data: ZooDataModule) -> None:
        super()._make(data)
        if self.compile_backbone:
            self.backbone.compile()

    def metrics(self, stage: str) -> dict[str, Metric]:
        """New metrics by name, which are updated with what ``compared`` gives, and logged as "stage/name".

        Args:
            stage: "train" (with augmentations), "val", "test" or "internal_test".
        """
        return {}

    def loss(self, results: Tensor, batch: WeightBatch) -> Tensor:
        """What training minimises: the mean over a batch, whose targets may be mixed, by MixUp for instance.

        Args:
            results: of ``self(batch)``: (B, K) logits, or (B, T) numbers.
            batch: which has the targets.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it minimises: write loss(results, batch)")

    def role(self, name: str) -> Role:
        """What the optimiser calls the group of the parameter of this name, and its part of the learning rate."""
        return "", 1.0

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the task cannot learn from the data: before anything is built or written."""
        super().check(data, trainer)
        if trainer.max_epochs == -1 and trainer.max_steps == -1 and self.optimisation.scheduler is None:
            raise ConfigError(
                "trainer.max_epochs -1 trains without an end, but the learning rate falls over a known number of "
                "steps: give trainer.max_epochs or trainer.max_steps; trainer.max_time may end the run before"
            )

    def forward(self, batch: WeightBatch) -> Tensor:
        """(B, out_dim), the backbone's result."""
        results: Tensor = self.backbone(batch)
        return results

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss and metrics of one batch."""
        results = self(batch)
        loss = self.loss(results, batch)
        self.log_training_loss(loss, len(batch))
        self.measure("train", results, batch)
        return loss * share(len(batch), loss)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Loss and metrics of one batch of validation networks."""
        self._evaluate("val", batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss and metrics of one batch of the external or internal test."""
        self._evaluate(TEST_NAMES[dataloader_idx], batch)

    def predict_step(self, batch: WeightBatch, batch_idx: int) -> dict[str, Any]:
        """Object, view and result of each network: class probabilities, or numbers."""
        results = self(batch)
        result = {"probability": results.softmax(1)} if self.head == "class" else {"prediction": results}
        return {"object": batch.objects, "view": batch.views, **result}

    def _evaluate(self, stage: str, batch: WeightBatch) -> None:
        results, batch = self.measured(batch)
        self.log_means({f"{stage}/loss": self.loss(results, batch)}, len(batch), add_dataloader_idx=False)
        self.measure(stage, results, batch)

    def measured(self, batch: WeightBatch) -> tuple[Tensor, WeightBatch]:
        """Results of those networks of a batch that are measured, and the batch of these: for validation and test."""
        results: Tensor = self(batch)
        if not self.leaves_out:
            return results, batch
        finite = results.flatten(1).isfinite().all(1)
        return results[finite], batch.select(finite)

    def measure(self, stage: str, results: Tensor, batch: WeightBatch) -> None:
        """Updates and logs the metrics of a stage."""
        monitor = getattr(self, "monitor", None)
        for name, metric in self.metrics_of(stage).items():
            if len(batch):
                metric.update(*compared(results, batch))
            self.log(name, metric, on_step=False, on_epoch=True, batch_size=len(batch), prog_bar=name == monitor,
                     add_dataloader_idx=False)  # fmt: skip

    def metrics_of(self, *stages: str) -> dict[str, Metric]:
        """The metrics of these stages, by the names under which they are logged."""
        own = tuple(f"{stage}/" for stage in stages)
        return {name: cast(Metric, metric) for name, metric in self._metrics.items() if name.startswith(own)}

    def build_metrics(self) -> None:
        """Makes the metrics; with one class there are none: it waits for a checkpoint that has learned more."""
        stages = STAGES if self.head != "class" or self.out_dim > 1 else ()
        made = {f"{stage}/{name}": metric for stage in stages for name, metric in self.metrics(stage).items()}
        self._metrics = nn.ModuleDict(made)

    def configure_model(self) -> None:
        """Builds the modules, see ``ZooModule``; what an epoch that was cut short has left does not count."""
        self._means = nn.ModuleDict()
        super().configure_model()

    def reset(self, *stages: str) -> None:
        """Counts from zero in these stages."""
        for metric in self.metrics_of(*stages).values():
            metric.reset()

    def on_validation_epoch_start(self) -> None:
        """Counts from zero."""
        self.reset("val")

    def on_test_epoch_start(self) -> None:
        """Counts from zero."""
        self.reset(*TEST_NAMES)

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
        """AdamW with warm-up and cosine over all steps of the run, or what was given in their places."""

        def steps() -> int:
            return int(self.trainer.estimated_stepping_batches)

        monitor = getattr(self, "monitor", "val/loss")
        return self.optimisation.configure(self, steps, monitor, self.monitor_mode, self.role)
