"""A task: classification in which every class weighs the same."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from weightspace.batch import WeightBatch, soft_targets
from weightspace.data import ZooDataModule
from weightspace.spec import NetworkSpec
from weightspace.tasks import Task
from weightspace.tasks.balanced_accuracy import BalancedAccuracy


class BalancedClasses(Task):
    """Trains a backbone with a cross-entropy in which every class weighs the same, however few networks it has."""

    head = "class"  # checkpoints keep the names of the classes, which other data is then compared with
    monitor = "val/balanced_accuracy"  # chooses the best checkpoint

    def build(self, spec: NetworkSpec) -> None:
        """Makes the modules: the backbone, and the weights of the classes, which are saved with it."""
        super().build(spec)
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.ones(self.out_dim))

    def prepare(self, data: ZooDataModule) -> None:
        """Sets what depends on the training networks, which a checkpoint is loaded without."""
        super().prepare(data)
        classes = soft_targets(data.training_batch()).argmax(1)
        self.class_weights.copy_(class_weights(classes, self.out_dim))

    def metrics(self, stage: str) -> dict[str, Metric]:
        """What is measured in training, validation and tests."""
        return {"balanced_accuracy": BalancedAccuracy(self.out_dim)}

    def loss(self, results: Tensor, batch: WeightBatch) -> Tensor:
        """Cross-entropy of logits (B, K); targets may be mixed, by MixUp for instance."""
        targets = soft_targets(batch).to(results)
        return F.cross_entropy(results, targets, weight=self.class_weights, reduction="none").mean()


def class_weights(classes: Tensor, count: int) -> Tensor:
    """(count,) weights with which every class that there is has the same sum, and networks have 1 in the mean.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    networks = torch.bincount(classes, minlength=count)
    return len(classes) / (networks.clamp(min=1) * (networks > 0).sum())
