"""Data-agnostic augmentations (paper 2402.04081, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, pack_layers


class GaussianNoise(Augmentation):
    """Adds normal noise, a fresh draw for every entry, in proportion to the spread of each weight tensor.

    For each tensor (W_l or b_l) of each network: sigma = scale * std(its entries, correction 0). A tensor of one entry
    gets no noise.

    Args:
        scale: in 0..10.
        p: probability that a network is changed.
    """

    def __init__(self, scale: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.scale = self.in_range("scale", scale, 0, 10)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(B, P) standard normal."""
        return torch.randn(batch.params.shape, generator=generator, dtype=batch.params.dtype, device=batch.device)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Adds sigma times the draw."""
        weights = [w.std((1, 2), correction=0, keepdim=True).expand_as(w) for w in batch.weights]
        biases = [b.std(1, correction=0, keepdim=True).expand_as(b) for b in batch.biases]
        return batch.replace(params=torch.addcmul(batch.params, params, pack_layers(weights, biases), value=self.scale))
