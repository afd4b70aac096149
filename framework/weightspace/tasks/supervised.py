"""Classification of networks by the object that they store."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import lightning.pytorch as pl
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from weightspace.backbones.base import Backbone, build_backbone
from weightspace.batch import WeightBatch
from weightspace.checks import check_number
from weightspace.data import ZooDataModule
from weightspace.distributed import share
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks.balanced_accuracy import BalancedAccuracy
from weightspace.tasks.base import Task
from weightspace.tasks.optim import Optimisation

#: What a test set is called in metrics: objects that no training network stores, and unseen views of those that do.
TEST_NAMES = ("test", "internal_test")


class SupervisedTask(Task):
    """Trains a backbone with cross-entropy, for hard or soft targets.

    Logs ``train/loss``, ``train/accuracy`` (after augmentation; against the likelier class where targets are mixed),
    ``val/loss``, ``val/accuracy``, ``test/loss``, ``test/accuracy``, ``test/balanced_accuracy`` (the mean over the
    classes that the test has; all three also as ``internal_test/...``), and keeps the confusion matrices of validation
    and test.

    Args:
        backbone: class of the network, with its arguments; the zoo gives it the architecture and number of classes.
        learning_rate: peak of AdamW's rate.
        weight_decay: AdamW's, on matrices only.
        warmup: part of all steps with a rising rate, before the cosine.
        label_smoothing: in [0, 1).
        compile: run the backbone through ``torch.compile``.
    """

    head = "class"
    monitor = "val/accuracy"

    def __init__(
        self,
        backbone: Callable[[NetworkSpec, int], Backbone],
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        label_smoothing: float = 0.0,
        compile: bool = False,
    ) -> None:
        super().__init__(Optimisation(learning_rate, weight_decay, warmup))
        check_number("label_smoothing", label_smoothing, low=0, below=1)
        self.make_backbone = backbone
        self.label_smoothing, self.compile_backbone = label_smoothing, compile

    def make(self, data: ZooDataModule) -> None:
        """Builds backbone and metrics."""
        assert data.class_names is not None
        classes = len(data.class_names)
        self.backbone = self.build(data, classes)
        if self.compile_backbone:
            self.backbone.compile()
        counted = max(classes, 2)  # one class alone waits for a checkpoint, with whose classes all is made again

        def counts() -> dict[str, Metric | MetricCollection]:
            accuracy = MulticlassAccuracy(counted, average="micro")
            return {"accuracy": accuracy, "confusion": MulticlassConfusionMatrix(counted)}

        self.train_accuracy = MulticlassAccuracy(counted, average="micro")
        self.val_metrics = MetricCollection(counts())
        self.test_metrics = nn.ModuleList(
            MetricCollection({**counts(), "balanced_accuracy": BalancedAccuracy(counted)}, compute_groups=False)
            for _ in TEST_NAMES
        )

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the data has pairs, or no classes."""
        super().check(data, trainer)
        if data.positives is not None:
            raise ConfigError(f"{type(self).__name__} does not learn from pairs: leave data.positives out")
        if data.class_names is None:
            raise ConfigError(f"{type(self).__name__} classifies, but {data.zoo.path} has no classes")

    def check_target(self, data: ZooDataModule) -> None:
        """Raises ConfigError where there is one class, and nothing has learned to tell it from others."""
        assert data.class_names is not None
        if len(data.class_names) < 2:
            raise ConfigError(
                f"{type(self).__name__} needs two classes or more, and {data.zoo.path} has one, {data.class_names[0]!r}"
                ". A model that has learned it among others can be tested on it (ckpt_path)"
            )

    def build(self, data: ZooDataModule, classes: int) -> nn.Module:
        """The network from batches to (B, classes) logits."""
        backbone = build_backbone(self.make_backbone, data.spec, classes)
        backbone.fit_normaliser(data.training_batch())
        return backbone

    def forward(self, batch: WeightBatch) -> Tensor:
        """(B, K) logits."""
        logits: Tensor = self.backbone(batch)
        return logits

    def training_step(self, batch: WeightBatch, batch_idx: int) -> Tensor:
        """Cross-entropy of one batch."""
        logits, targets = self(batch), _targets(batch)
        loss = F.cross_entropy(logits, _like(targets, logits), label_smoothing=self.label_smoothing)
        self.train_accuracy(logits, _classes(targets))
        self.log_training_loss(loss, len(batch))
        self.log("train/accuracy", self.train_accuracy, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss * share(len(batch), loss)

    def validation_step(self, batch: WeightBatch, batch_idx: int) -> None:
        """Loss and metrics of one batch of validation networks."""
        logits, batch = self.measured(batch)
        targets = _targets(batch)
        loss = F.cross_entropy(logits, _like(targets, logits))
        if len(batch):
            self.val_metrics.update(logits, _classes(targets))
        self.log_means({"val/loss": loss}, len(batch))
        self.log("val/accuracy", self.val_metrics["accuracy"], batch_size=len(batch), prog_bar=True)

    def test_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss and metrics of one batch of the external or internal test."""
        logits, batch = self.measured(batch)
        targets, name = _targets(batch), TEST_NAMES[dataloader_idx]
        metrics = cast(MetricCollection, self.test_metrics[dataloader_idx])
        if len(batch):
            metrics.update(logits, _classes(targets))
        loss = F.cross_entropy(logits, _like(targets, logits))
        self.log_means({f"{name}/loss": loss}, len(batch), add_dataloader_idx=False)
        for score in ("accuracy", "balanced_accuracy"):
            self.log(f"{name}/{score}", metrics[score], batch_size=len(batch), add_dataloader_idx=False)

    def predict_step(self, batch: WeightBatch, batch_idx: int) -> dict[str, Tensor]:
        """Object, view and class probabilities of each network."""
        assert batch.objects is not None
        assert batch.views is not None
        return {"object": batch.objects, "view": batch.views, "probability": self(batch).softmax(1)}

    def confusions(self) -> dict[str, Tensor]:
        """(K, K) counts of the evaluation that has just run, by the name of its split."""
        collections = {"val": self.val_metrics, **dict(zip(TEST_NAMES, self.test_metrics, strict=True))}
        seen = {name: cast(MetricCollection, c)["confusion"] for name, c in collections.items()}
        return {name: metric.compute() for name, metric in seen.items() if metric.update_called}

    def on_validation_epoch_start(self) -> None:
        """Counts from zero."""
        self.val_metrics.reset()

    def on_test_epoch_start(self) -> None:
        """Counts from zero."""
        for metrics in self.test_metrics:
            cast(MetricCollection, metrics).reset()


def _targets(batch: WeightBatch) -> Tensor:
    assert batch.targets is not None, "the zoo store always has targets"
    return batch.targets


def _like(targets: Tensor, logits: Tensor) -> Tensor:
    """Soft targets in the precision of the logits; hard ones as they are."""
    return targets.to(logits.dtype) if targets.ndim == 2 else targets


def _classes(targets: Tensor) -> Tensor:
    return targets.argmax(1) if targets.ndim == 2 else targets
