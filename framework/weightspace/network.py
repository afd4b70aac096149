"""What a network computes: the oracle for exactness, probes and pictures."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import SpecError


def activate(z: Tensor, activation: str, omega: float) -> Tensor:
    """activation(omega * z), elementwise."""
    if activation == "sine":
        return torch.sin(omega * z)
    return torch.relu(z) if activation == "relu" else torch.tanh(z)


def evaluate(batch: WeightBatch, coordinates: Tensor) -> Tensor:
    """Evaluates all networks of a batch at the same, or at their own, coordinates.

    Args:
        batch: B networks with d inputs and C outputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network.

    Returns:
        (B, N, C) outputs, the spec's ``output_offset`` included, in the dtype of the params.

    Raises:
        SpecError: coordinates of another dimension.

    >>> from weightspace.spec import NetworkSpec
    >>> spec = NetworkSpec((2, 3, 1), "tanh", output_offset=0.5)
    >>> evaluate(WeightBatch(torch.zeros(1, spec.num_params), spec), torch.zeros(4, 2)).flatten()
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    for outputs in _layers(batch, coordinates):  # noqa: B007  # earlier layers are freed on the way
        pass
    return outputs + batch.spec.output_offset


def hidden_outputs(batch: WeightBatch, coordinates: Tensor) -> list[Tensor]:
    """Outputs of the hidden neurons, (B, N, n_l) for each hidden layer.

    Args:
        batch: B networks with d inputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network.

    Raises:
        SpecError: coordinates of another dimension.
    """
    return list(_layers(batch, coordinates))[:-1]


def _layers(batch: WeightBatch, coordinates: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer in turn, (B, N, n_l)."""
    spec = batch.spec
    if coordinates.shape[-1] != spec.in_dim or coordinates.ndim not in (2, 3):
        raise SpecError(
            f"coordinates must be (N, {spec.in_dim}) or (B, N, {spec.in_dim}), found {tuple(coordinates.shape)}"
        )
    h = coordinates.to(batch.params).expand(len(batch), -1, -1)
    for layer, (weight, bias) in enumerate(zip(batch.weights, batch.biases, strict=True)):
        h = torch.baddbmm(bias.unsqueeze(1), h, weight.transpose(1, 2))
        if layer < spec.num_layers - 1:
            h = activate(h, spec.activation, spec.omegas[layer])
        yield h
