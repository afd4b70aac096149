"""Classifying networks by the object that they represent."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from weightspace.backbones.factory import BackboneFactory
from weightspace.batch import WeightBatch
from weightspace.checks import check_number
from weightspace.spec import NetworkSpec
from weightspace.tasks.balanced_accuracy import BalancedAccuracy
from weightspace.tasks.base import STAGES, TEST_NAMES, Task
from weightspace.tasks.learned import compared, targets_of


class SupervisedTask(Task):
    """Trains a backbone with cross-entropy on hard or soft targets.

    Logs ``train/loss``, ``train/accuracy`` (after augmentation; with the likeliest class of mixed targets),
    ``val/loss``, ``val/accuracy``, ``test/loss``, ``test/accuracy``, ``test/balanced_accuracy`` (the mean over the
    classes in the test; all three also as ``internal_test/...``), and computes the confusion matrices of validation
    and test.

    Args:
        backbone: class of the network with its arguments; architecture and number of classes come from the zoo.
        label_smoothing: label smoothing of the training loss, in [0, 1).
        options: arguments of ``Task``: optimiser, schedule, ``compile``.
    """

    head = "class"
    monitor = "val/accuracy"

    def __init__(self, backbone: BackboneFactory, *, label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(backbone, **options)
        check_number("label_smoothing", label_smoothing, low=0, below=1)
        self.label_smoothing = label_smoothing

    def build(self, spec: NetworkSpec) -> None:
        """Builds the backbone and the confusion matrices."""
        super().build(spec)
        classes = max(self.out_dim, 2)  # a single class needs a checkpoint with more classes
        self._confusions = nn.ModuleDict({stage: MulticlassConfusionMatrix(classes) for stage in STAGES[1:]})

    def metrics(self, stage: str) -> dict[str, Metric]:
        """Makes accuracy and, for tests, balanced accuracy."""
        accuracy = MulticlassAccuracy(self.out_dim, average="micro")
        tested = {"balanced_accuracy": BalancedAccuracy(self.out_dim)} if stage in TEST_NAMES else {}
        return {"accuracy": accuracy, **tested}

    def loss(self, results: Tensor, batch: WeightBatch) -> Tensor:
        """The cross-entropy, with label smoothing in training."""
        targets = targets_of(batch)
        soft = targets.to(results.dtype) if targets.ndim == 2 else targets
        return F.cross_entropy(results, soft, label_smoothing=self.label_smoothing if self.training else 0.0)

    def measure(self, stage: str, results: Tensor, batch: WeightBatch) -> None:
        """Updates and logs the metrics of a stage, and updates its confusion matrix."""
        super().measure(stage, results, batch)
        if stage in self._confusions:  # also of no networks: all processes must have the same to join
            cast(MulticlassConfusionMatrix, self._confusions[stage]).update(*compared(results, batch))

    def confusions(self) -> dict[str, Tensor]:
        """(K, K) confusion matrices of the evaluation that has just run, by the name of its split."""
        seen = {name: cast(MulticlassConfusionMatrix, metric) for name, metric in self._confusions.items()}
        return {name: metric.compute() for name, metric in seen.items() if metric.update_called}

    def reset(self, *stages: str) -> None:
        """Resets metrics and confusion matrices of the given stages."""
        super().reset(*stages)
        for stage in stages:
            cast(MulticlassConfusionMatrix, self._confusions[stage]).reset()
