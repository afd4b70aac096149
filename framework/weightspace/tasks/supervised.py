"""Classification of networks by the object that they store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from weightspace.backbones.base import Backbone
from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks.optim import Optimisation

#: What a test set is called in metrics: objects that no training network stores, and unseen views of those that do.
TEST_NAMES = ("test", "internal_test")


class SupervisedTask(pl.LightningModule):
    """Trains a backbone with cross-entropy, for hard or soft targets.

    Logs ``train/loss``, ``train/accuracy`` (after augmentation; against the likelier class where targets are mixed),
    ``val/loss``, ``val/accuracy``, ``test/accuracy`` and the confusion matrices of validation and test.

    Args:
        backbone: class of the network, with its arguments; the zoo gives it the architecture and number of classes.
        learning_rate: peak of AdamW's rate.
        weight_decay: AdamW's, on matrices only.
        warmup: part of all steps with a rising rate, before the cosine.
        label_smoothing: in [0, 1).
        compile: run the backbone through ``torch.compile``.
    """

    backbone: Backbone

    def __init__(
        self,
        backbone: Callable[[NetworkSpec, int], Backbone],
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        label_smoothing: float = 0.0,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"label_smoothing must be in [0, 1), found {label_smoothing}")
        self.make_backbone = backbone
        self.optimisation = Optimisation(learning_rate, weight_decay, warmup)
        self.label_smoothing, self.compile_backbone = label_smoothing, compile

    def configure_model(self) -> None:
        """Builds backbone and metrics for the zoo of the trainer's data module (once it is known).

        Raises:
            ConfigError: the data is not a ZooDataModule, or its targets are not classes.
        """
        if hasattr(self, "backbone"):
            return
        data = cast(Any, self.trainer).datamodule
        if not isinstance(data, ZooDataModule):
            raise ConfigError("SupervisedTask needs a ZooDataModule: it takes the architecture from the zoo")
        if data.draws != 1:
            raise ConfigError(
                f"SupervisedTask takes one draw of the augmentations: data.draws must be 1, found {data.draws}"
            )
        if data.class_names is None:
            raise ConfigError(f"SupervisedTask classifies, but {data.zoo.path} has no classes")
        classes = len(data.class_names)
        self.backbone = self.make_backbone(data.spec, classes)
        self.backbone.fit_normaliser(data.training_batch())
        if self.compile_backbone:
            self.backbone.compile()
        metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro"),
                "confusion": MulticlassConfusionMatrix(classes),
            }
        )
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.val_metrics = metrics.clone()
        self.test_metrics = torch.nn.ModuleList(metrics.clone() for _ in TEST_NAMES)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the architecture of the networks, and the class of the backbone."""
        checkpoint["spec"] = self.backbone.spec.to_json()
        checkpoint["backbone"] = type(self.backbone).__name__

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ConfigError where the checkpoint is of another architecture or backbone."""
        found = NetworkSpec.from_json(checkpoint["spec"])
        if found != self.backbone.spec:
            raise ConfigError(f"the checkpoint is for networks {found}, the zoo has {self.backbone.spec}")
        name, saved_name = type(self.backbone).__name__, checkpoint.get("backbone")
        if saved_name != name:
            raise ConfigError(f"the checkpoint is of the backbone {saved_name}, the experiment asks for {name}")
        own, saved = (_shapes(state) for state in (self.state_dict(), checkpoint["state_dict"]))
        different = sorted(tensor for tensor in {*own, *saved} if own.get(tensor) != saved.get(tensor))
        if different:
            first = different[0]
            shapes = [tuple(shapes[first]) if first in shapes else "no such tensor" for shapes in (saved, own)]
            raise ConfigError(
                f"the checkpoint is of another {name}: it differs in {len(different)} tensors, first {first}, which is "
                f"{shapes[0]} in the checkpoint and {shapes[1]} here"
            )

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine over all steps of the run."""
        steps = self.trainer.estimated_stepping_batches
        optimiser, schedule = self.optimisation.build(self, int(steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, batch: WeightBatch) -> Tensor:
        """(B, K) logits."""
        logits: Tensor = self.backbone(batch)
        return logits

    def training_step(self, batch: WeightBatch, batch_idx: int) -> Tensor:
        """Cross-entropy of one batch."""
        logits, targets = self(batch), _targets(batch)
        loss = F.cross_entropy(logits, _like(targets, logits), label_smoothing=self.label_smoothing)
        self.train_accuracy(logits, _classes(targets))
        self.log("train/loss", loss, batch_size=len(batch), prog_bar=True)
        self.log("train/accuracy", self.train_accuracy, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: WeightBatch, batch_idx: int) -> None:
        """Loss and metrics of one batch of validation networks."""
        logits, targets = self(batch), _targets(batch)
        loss = F.cross_entropy(logits, _like(targets, logits))
        self.val_metrics.update(logits, _classes(targets))
        self.log("val/loss", loss, batch_size=len(batch), sync_dist=True)
        self.log("val/accuracy", self.val_metrics["accuracy"], batch_size=len(batch), prog_bar=True)

    def test_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Metrics of one batch of the external or internal test."""
        metrics = cast(MetricCollection, self.test_metrics[dataloader_idx])
        metrics.update(self(batch), _classes(_targets(batch)))
        name = f"{TEST_NAMES[dataloader_idx]}/accuracy"
        self.log(name, metrics["accuracy"], batch_size=len(batch), add_dataloader_idx=False)

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


def _shapes(state: Mapping[str, Any]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}


def _targets(batch: WeightBatch) -> Tensor:
    assert batch.targets is not None, "the zoo store always has targets"
    return batch.targets


def _like(targets: Tensor, logits: Tensor) -> Tensor:
    """Soft targets in the precision of the logits; hard ones as they are."""
    return targets.to(logits.dtype) if targets.ndim == 2 else targets


def _classes(targets: Tensor) -> Tensor:
    return targets.argmax(1) if targets.ndim == 2 else targets
