"""A task: classification in which every class weighs the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from weightspace.backbones import Backbone
from weightspace.batch import WeightBatch, soft_targets
from weightspace.data import ZooDataModule
from weightspace.distributed import share
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks import Task
from weightspace.tasks.balanced_accuracy import BalancedAccuracy
from weightspace.tasks.optim import Optimisation
from weightspace.tasks.supervised import TEST_NAMES


class BalancedClasses(Task):
    """Trains a backbone with a cross-entropy in which every class weighs the same, however few networks it has.

    Args:
        backbone: class of the network, with its arguments; the zoo gives it the architecture and number of classes.
        learning_rate: peak of AdamW's rate, > 0.
        weight_decay: AdamW's, on matrices only, >= 0.
        warmup: part of all steps with a rising rate, before the cosine, in [0, 1).
    """

    head = "class"  # checkpoints keep the names of the classes, which other data is then compared with
    monitor = "val/balanced_accuracy"  # chooses the best checkpoint

    def __init__(
        self,
        backbone: Callable[[NetworkSpec, int], Backbone],
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
    ) -> None:
        super().__init__(Optimisation(learning_rate, weight_decay, warmup))
        self.make_backbone = backbone

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where it cannot learn from the data, before anything is built."""
        super().check(data, trainer)
        if data.class_names is None or data.positives is not None:
            raise ConfigError(
                f"{type(self).__name__} classifies: {data.zoo.path} must have classes, and data.positives be left out"
            )

    def make(self, data: ZooDataModule) -> None:
        """Builds backbone, weights and metrics, once the zoo is known."""
        networks, classes = data.training_batch(), len(data.target.names)
        self.backbone = self.make_backbone(data.spec, classes)
        self.backbone.fit_normaliser(networks)
        self.class_weights: Tensor
        self.register_buffer("class_weights", class_weights(soft_targets(networks).argmax(1), classes))
        self.val_accuracy = BalancedAccuracy(classes)
        self.test_accuracies = nn.ModuleList(BalancedAccuracy(classes) for _ in TEST_NAMES)

    def forward(self, batch: WeightBatch) -> Tensor:
        """(B, K) logits."""
        logits: Tensor = self.backbone(batch)
        return logits

    def training_step(self, batch: WeightBatch, batch_idx: int) -> Tensor:
        """Cross-entropy of one batch; targets may be mixed, by MixUp for instance."""
        loss = self._loss(self(batch), batch)
        self.log_training_loss(loss, len(batch))
        return loss * share(len(batch), loss)  # which makes it the mean over the batches of all processes

    def validation_step(self, batch: WeightBatch, batch_idx: int) -> None:
        """Loss and accuracy of one batch of validation networks."""
        logits = self(batch)
        self.val_accuracy.update(logits, soft_targets(batch).argmax(1))
        self.log_means({"val/loss": self._loss(logits, batch)}, len(batch))
        self.log(self.monitor, self.val_accuracy, batch_size=len(batch), prog_bar=True)

    def test_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss and accuracy of one batch of the external or internal test."""
        logits, name = self(batch), TEST_NAMES[dataloader_idx]
        metric = cast(BalancedAccuracy, self.test_accuracies[dataloader_idx])
        metric.update(logits, soft_targets(batch).argmax(1))
        self.log_means({f"{name}/loss": self._loss(logits, batch)}, len(batch), add_dataloader_idx=False)
        self.log(f"{name}/balanced_accuracy", metric, batch_size=len(batch), add_dataloader_idx=False)

    def predict_step(self, batch: WeightBatch, batch_idx: int) -> dict[str, Tensor | None]:
        """Object, view and class probabilities of each network."""
        return {"object": batch.objects, "view": batch.views, "probability": self(batch).softmax(1)}

    def _loss(self, logits: Tensor, batch: WeightBatch) -> Tensor:
        targets = soft_targets(batch).to(logits)
        return F.cross_entropy(logits, targets, weight=self.class_weights, reduction="none").mean()


def class_weights(classes: Tensor, count: int) -> Tensor:
    """(count,) weights with which every class that there is has the same sum, and networks have 1 in the mean.

    Args:
        classes: (n,) numbers of the networks' classes.
        count: of the classes.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    networks = torch.bincount(classes, minlength=count)
    return len(classes) / (networks.clamp(min=1) * (networks > 0).sum())
