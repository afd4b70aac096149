"""Symmetry augmentations: other weights, the same function (paper 2402.04081, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch
from weightspace.symmetry import sign_neurons


class SignFlip(Augmentation):
    """Negates hidden neurons, with their outgoing weights: exact for odd activations (sine, tanh).

    Args:
        probability: of each hidden neuron to be negated, in 0..1.
        p: probability that a network is changed at all.
    """

    exact = "function"
    activations = frozenset({"sine", "tanh"})

    def __init__(self, probability: float = 0.5, p: float = 1.0) -> None:
        super().__init__(p)
        self.probability = self.in_range("probability", probability, 0, 1)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> list[Tensor]:
        """Per hidden layer (B, n) signs, +1 or -1."""
        signs = []
        for bias in batch.biases[:-1]:
            draw = torch.rand(bias.shape, generator=generator, device=bias.device)
            signs.append(1 - 2 * (draw < self.probability).to(bias.dtype))
        return signs

    def apply(self, batch: WeightBatch, params: list[Tensor]) -> WeightBatch:
        """Multiplies incoming weights, biases and outgoing weights."""
        return sign_neurons(batch, params)
