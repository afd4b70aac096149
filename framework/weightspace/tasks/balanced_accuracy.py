"""Balanced accuracy: the mean of the recalls of the classes."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix


class BalancedAccuracy(MulticlassConfusionMatrix):
    """The mean of the recalls of all classes that have networks.

    ``MulticlassAccuracy(average="macro")`` counts a class without networks as 0 as soon as it is predicted once.

    Args:
        num_classes: number of classes of the logits.

    >>> import torch
    >>> metric = BalancedAccuracy(3)
    >>> metric.update(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 1, 1]))
    >>> float(metric.compute())
    0.75
    """

    def __init__(self, num_classes: int, **options: Any) -> None:
        super().__init__(num_classes, **options)

    def compute(self) -> Tensor:
        """Returns the balanced accuracy in [0, 1]; 0 before the first network."""
        confusion = super().compute()
        counts = confusion.sum(1)
        recalls = confusion.diagonal() / counts.clamp(min=1)
        return recalls.sum() / (counts > 0).sum().clamp(min=1)
