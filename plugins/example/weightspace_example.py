"""An augmentation: noise in proportion to each parameter."""

from __future__ import annotations

import torch
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch


class ScaledNoise(Augmentation):
    """Multiplies every parameter by 1 + scale * a standard normal draw.

    Args:
        scale: in 0..1.
        p: probability that a network is changed.
    """

    def __init__(self, scale: float = 0.05, p: float = 1.0) -> None:
        super().__init__(p)
        self.scale = self.in_range("scale", scale, 0, 1)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(B, P) standard normal."""
        return torch.randn(batch.params.shape, generator=generator, dtype=batch.params.dtype, device=batch.device)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """One multiplication."""
        return batch.replace(params=batch.params * (1 + self.scale * params))
