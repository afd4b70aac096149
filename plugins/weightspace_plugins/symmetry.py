"""Symmetry augmentations: other weights, the same function (paper 2402.04081, section 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from weightspace.activations import activations_with
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import permute_neurons, scale_neurons, shift_phases, sign_neurons


class Permute(Augmentation):
    """Puts the hidden neurons of each layer into a random order: exact for every activation.

    Args:
        p: probability that a network is changed.
    """

    exact = "function"
    family = "symmetry"

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> list[Tensor]:
        """Per hidden layer (B, n) orders."""
        return [draw.argsort(1) for draw in _uniform(batch, generator)]

    def apply(self, batch: WeightBatch, params: list[Tensor]) -> WeightBatch:
        """Reorders rows, biases and the next layer's columns."""
        return permute_neurons(batch, params)


class SignFlip(Augmentation):
    """Negates hidden neurons, with their outgoing weights: exact for odd activations (sine, tanh).

    Args:
        probability: of each hidden neuron to be negated, in 0..1.
        p: probability that a network is changed at all.
    """

    exact = "function"
    family = "symmetry"
    activations = activations_with("sign")

    def __init__(self, probability: float = 0.5, p: float = 1.0) -> None:
        super().__init__(p)
        self.probability = self.in_range("probability", probability, 0, 1)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> list[Tensor]:
        """Per hidden layer (B, n) signs, +1 or -1."""
        return [1 - 2 * (draw < self.probability).to(draw.dtype) for draw in _uniform(batch, generator)]

    def apply(self, batch: WeightBatch, params: list[Tensor]) -> WeightBatch:
        """Multiplies incoming weights, biases and outgoing weights."""
        return sign_neurons(batch, params)


class PhaseShift(Augmentation):
    """Shifts the phase of hidden neurons by multiples k of pi / omega: exact for sine.

    b <- b + k pi / omega, and the outgoing weights change their sign where k is odd.

    Args:
        multiples: k is uniform among the whole numbers from -multiples to multiples; in 0..1000.
        p: probability that a network is changed.
    """

    exact = "function"
    family = "symmetry"
    activations = activations_with("phase")

    def __init__(self, multiples: int = 1, p: float = 1.0) -> None:
        super().__init__(p)
        self.multiples = self.whole("multiples", multiples, 0, 1000)

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless all hidden layers have biases."""
        super().check(spec, target)
        if "phase" not in spec.symmetries:
            raise AugmentationError(f"{self.name}: moves biases, which hidden layers of these networks lack: {spec}")

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> list[Tensor]:
        """Per hidden layer (B, n) whole numbers k."""
        count = 2 * self.multiples + 1
        return [(draw * count).floor().clamp(max=count - 1) - self.multiples for draw in _uniform(batch, generator)]

    def apply(self, batch: WeightBatch, params: list[Tensor]) -> WeightBatch:
        """Shifts the biases."""
        return shift_phases(batch, params)


class PositiveScale(Augmentation):
    """Multiplies hidden neurons by positive factors, and divides their outgoing weights by them: exact for ReLU.

    Args:
        factor: factors are log-uniform between 1 / factor and factor; in 1..1000.
        p: probability that a network is changed.
    """

    exact = "function"
    family = "symmetry"
    activations = activations_with("scale")

    def __init__(self, factor: float = 2.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.factor = self.in_range("factor", factor, 1, 1000)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> list[Tensor]:
        """Per hidden layer (B, n) factors."""
        return [self.factor ** (2 * draw - 1) for draw in _uniform(batch, generator)]

    def apply(self, batch: WeightBatch, params: list[Tensor]) -> WeightBatch:
        """Multiplies incoming weights and biases, divides outgoing weights."""
        return scale_neurons(batch, params)


def _uniform(batch: WeightBatch, generator: torch.Generator) -> list[Tensor]:
    """Per hidden layer (B, n) uniform draws."""
    kind: dict[str, Any] = {"dtype": batch.params.dtype, "device": batch.device}
    return [torch.rand(bias.shape, generator=generator, **kind) for bias in batch.biases[:-1]]
