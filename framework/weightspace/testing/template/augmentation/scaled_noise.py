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

    exact = None  # "function": the network computes the same; "input": it computes the moved object

    def __init__(self, scale: float = 0.05, p: float = 1.0) -> None:
        super().__init__(p)  # the base class chooses the networks
        self.scale = self.in_range("scale", scale, 0, 1)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """All randomness: (B, P) standard normal, on the batch's device."""
        return torch.randn(batch.params.shape, generator=generator, dtype=batch.params.dtype, device=batch.device)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """A new batch; nothing is random here, and the given batch stays as it is."""
        return batch.replace(params=batch.params * (1 + self.scale * params))
