"""Label augmentations: the weights stay as they are."""

from __future__ import annotations

import torch
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, soft_targets
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec


class LabelSmoothing(Augmentation):
    """Mixes targets with the uniform distribution: y <- (1 - smoothing) y + smoothing / K.

    Args:
        smoothing: in 0..1.
        p: probability that a network's target is changed.
    """

    exact = "function"
    family = "label"
    uses_labels = True

    def __init__(self, smoothing: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.smoothing = self.in_range("smoothing", smoothing, 0, 1)

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless the targets are classes."""
        super().check(spec, target)
        if target != "class":
            raise AugmentationError(f"{self.name}: needs classes, these networks have a regression target")

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> None:
        """None: nothing is random."""

    def apply(self, batch: WeightBatch, params: None) -> WeightBatch:
        """Interpolates the targets with the uniform distribution."""
        targets = soft_targets(batch)
        return batch.replace(targets=(1 - self.smoothing) * targets + self.smoothing / targets.shape[1])
