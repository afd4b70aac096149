"""Evaluating networks: the reference for exactness, probing and pictures."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from weightspace.activations import ACTIVATIONS
from weightspace.batch import WeightBatch, check_batch, unpack_layers
from weightspace.convolved import evaluate_images, hidden_images
from weightspace.errors import SpecError
from weightspace.spec import NetworkSpec


def evaluate(batch: WeightBatch, coordinates: Tensor) -> Tensor:
    """Evaluates all networks of a batch at the same, or at their own, coordinates, or on the same images.

    Args:
        batch: B networks with d inputs and C outputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network; for networks with convolutions, images
            (N, d, height, width).

    Returns:
        (B, N, C) outputs, the spec's ``output_offset`` included, in the dtype of the params.

    Raises:
        SpecError: not a batch, coordinates of another dimension, or images that the networks cannot read.

    >>> from weightspace.spec import NetworkSpec
    >>> spec = NetworkSpec((2, 3, 1), "tanh", output_offset=0.5)
    >>> evaluate(WeightBatch(torch.zeros(1, spec.num_params), spec), torch.zeros(4, 2)).flatten()
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    check_batch("batch", batch)
    if batch.spec.kernels:
        return evaluate_images(batch, coordinates)
    for outputs in _transposed(batch, coordinates):  # noqa: B007  # earlier layers are freed on the way
        pass
    return outputs.mT + batch.spec.output_offset


def decode(batch: WeightBatch, coordinates: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Outputs of networks mapped back to the values of their objects in [0, 1] (not clipped).

    Args:
        batch: B networks with d inputs and C outputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network.
        value_range: the outputs that stand for 0 and 1, see ``Zoo.value_range``.

    Returns:
        (B, N, C).
    """
    low, high = value_range
    return (evaluate(batch, coordinates) - low) / (high - low)


def grid(height: int, width: int) -> Tensor:
    """(height * width, 2) coordinates of an image's pixels, ends included, (row, column) order.

    >>> grid(2, 2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    axes = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack(axes, dim=-1).reshape(-1, 2)


def hidden_outputs(batch: WeightBatch, coordinates: Tensor) -> list[Tensor]:
    """Outputs of the hidden neurons, (B, N, n_l) for each hidden layer.

    Args:
        batch: B networks with d inputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network; or images (N, d, height, width), whose
            positions count as points.

    Raises:
        SpecError: not a batch, coordinates of another dimension, or images that the networks cannot read.
    """
    check_batch("batch", batch)
    if batch.spec.kernels:
        return hidden_images(batch, coordinates)
    return [outputs.mT for outputs in _transposed(batch, coordinates)][:-1]


def _transposed(batch: WeightBatch, coordinates: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer in turn, (B, n_l, N)."""
    spec = batch.spec
    if not isinstance(coordinates, Tensor):
        raise SpecError(f"coordinates must be a tensor, found {type(coordinates).__name__}")
    if coordinates.shape[-1] != spec.in_dim or coordinates.ndim not in (2, 3):
        raise SpecError(
            f"coordinates must be (N, {spec.in_dim}) or (B, N, {spec.in_dim}), found {tuple(coordinates.shape)}"
        )
    return layer_outputs(batch.params, spec, coordinates.to(batch.params).mT)


def layer_outputs(params: Tensor, spec: NetworkSpec, points: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer's neurons in turn, neurons before points.

    Args:
        params: (B, P) flat vectors of networks of the architecture ``spec``.
        points: (d, N) for all networks, or (B, d, N), in the dtype of the params.

    Yields:
        (B, n_l, N) for each layer, the last without the spec's ``output_offset``.
    """
    h, activation = points.expand(len(params), -1, -1), ACTIVATIONS[spec.activation]
    for layer, (weight, bias) in enumerate(zip(*unpack_layers(params, spec), strict=True)):
        h = torch.baddbmm(bias.unsqueeze(2), weight, h)
        if layer < spec.num_layers - 1:
            h = activation(h, spec.omegas[layer])
        yield h
