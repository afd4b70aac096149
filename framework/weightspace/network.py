"""Evaluating networks: the reference for exactness, probing and pictures."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.activations import ACTIVATIONS
from weightspace.batch import WeightBatch, check_batch, unpack_layers
from weightspace.errors import SpecError
from weightspace.layers import Convolution, Flattened
from weightspace.spec import NetworkSpec

#: Outputs that stand for 0 and 1.
ValueRange = tuple[float, float] | Tensor
#: Networks with convolutions that are computed together: more do not fit into a processor's caches.
TOGETHER = 16
#: Mean squared error of values in [0, 1] that float32 can hardly tell from none.
EXACT = 1e-12


def evaluate(batch: WeightBatch, coordinates: Tensor) -> Tensor:
    """Evaluates all networks of a batch at the same, or at their own, coordinates, or on the same images.

    Args:
        batch: B networks with d inputs and C outputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network; for networks with convolutions, images
            (N, d, height, width), or (B, N, d, height, width).

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
        return _evaluate_images(batch, coordinates)
    for outputs in _transposed(batch, coordinates):  # noqa: B007  # earlier layers are freed on the way
        pass
    return outputs.mT + batch.spec.output_offset


def decode(batch: WeightBatch, coordinates: Tensor, value_range: ValueRange) -> Tensor:
    """Outputs of networks mapped back to the values of their objects in [0, 1] (not clipped).

    Args:
        batch: B networks with d inputs and C outputs.
        coordinates: (N, d), or (B, N, d) with a set of points for each network.
        value_range: the outputs that stand for 0 and 1, see ``Zoo.value_range``; two numbers, or a tensor of two.

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


def spread(inputs: int, count: int, seed: int | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """(count, inputs) points spread evenly over [-1, 1] in each input: a Sobol sequence, the same in every call.

    Args:
        inputs: of networks.
        count: number of points.
        seed: scrambles the sequence; None: it begins at -1.
        dtype: of the points; None: torch's default.

    >>> spread(2, 4).tolist()
    [[-1.0, -1.0], [0.0, 0.0], [0.5, -0.5], [-0.5, 0.5]]
    """
    engine = torch.quasirandom.SobolEngine(inputs, scramble=seed is not None, seed=seed)
    return 2 * engine.draw(count, dtype=dtype) - 1


def decibels(errors: Tensor, exact: float = EXACT) -> Tensor:
    """Peak signal-to-noise ratios in dB of mean squared errors of values in [0, 1].

    Args:
        errors: of any shape.
        exact: the error that counts as none, so that results are finite, by default at most 120; 0: they may not be.

    >>> decibels(torch.tensor([0.01, 0.0]))
    tensor([ 20., 120.])
    """
    return -10 * errors.clamp(min=exact).log10()


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
        return _hidden_images(batch, coordinates)
    return [outputs.mT for outputs in _transposed(batch, coordinates)][:-1]


def _transposed(batch: WeightBatch, coordinates: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer in turn, (B, n_l, N)."""
    spec = batch.spec
    if not isinstance(coordinates, Tensor):
        raise SpecError(f"coordinates must be a tensor, found {type(coordinates).__name__}")
    if coordinates.ndim not in (2, 3) or coordinates.shape[-1] != spec.in_dim:
        raise SpecError(
            f"coordinates must be (N, {spec.in_dim}) or (B, N, {spec.in_dim}), found {tuple(coordinates.shape)}"
        )
    if coordinates.ndim == 3 and len(coordinates) not in (1, len(batch)):
        raise SpecError(f"points of each of {len(batch)} networks were expected, found those of {len(coordinates)}")
    return layer_outputs(batch.params, spec, coordinates.to(batch.params).mT)


def layer_outputs(params: Tensor, spec: NetworkSpec, points: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer's neurons in turn, neurons before points.

    Args:
        params: (B, P) flat vectors of networks of the architecture ``spec``.
        points: (d, N) for all networks, or (B, d, N), in the dtype of the params.

    Yields:
        (B, n_l, N) for each layer, the last without the spec's ``output_offset``.
    """
    h = points.expand(len(params), -1, -1)
    for layer, (weight, bias) in enumerate(zip(*unpack_layers(params, spec), strict=True)):
        h = torch.baddbmm(bias.unsqueeze(2), weight, h)
        if layer < spec.num_layers - 1:
            h = ACTIVATIONS[spec.activations[layer]](h, spec.omegas[layer])
        yield h


def _check_images(batch: WeightBatch, images: object) -> Tensor:
    """Returns images, in the precision of the networks; raises SpecError unless these can read them."""
    spec = batch.spec
    if not isinstance(images, Tensor) or images.ndim not in (4, 5) or images.shape[-3] != spec.in_dim:
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise SpecError(
            f"images must be (N, {spec.in_dim}, height, width) or (B, N, {spec.in_dim}, height, width) for networks "
            f"{spec}, found {found}"
        )
    if images.ndim == 5 and len(images) != len(batch):
        raise SpecError(f"images of each of {len(batch)} networks were expected, found those of {len(images)}")
    height, width = size = images.shape[-2], images.shape[-1]
    for kernel in spec.kernels:
        if isinstance(kernel, Convolution):
            size = kernel.result(size)
        elif isinstance(kernel, Flattened) and kernel.size != size:
            raise SpecError(
                f"networks {spec} flatten maps of {kernel.size[0]} x {kernel.size[1]}, and images of "
                f"{height} x {width} give {size[0]} x {size[1]}"
            )
    return images.to(batch.params)


def convolved_outputs(params: Tensor, spec: NetworkSpec, images: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer's neurons in turn: the convolutions of B networks are one, in B groups.

    Args:
        params: (B, P) flat vectors of networks of an architecture with convolutions.
        spec: the architecture.
        images: (N, C, H, W) for all networks, or (B, N, C, H, W), in the dtype of the params.

    Yields:
        (B, n_l, N, rows, columns) of convolutions, then (B, n_l, N), the last without the spec's ``output_offset``.
    """
    count, shared = len(params), images.ndim == 4
    h = images if shared else images.transpose(0, 1).flatten(1, 2)
    h = h.contiguous(memory_format=torch.channels_last)  # on a processor, up to twice as fast in groups
    for layer, (weight, bias, kernel) in enumerate(zip(*unpack_layers(params, spec), spec.kernels, strict=True)):
        if isinstance(kernel, Convolution):
            filters = weight.reshape(-1, weight.shape[2], *kernel.size)
            groups = 1 if shared and layer == 0 else count
            h = F.conv2d(h, filters, bias.flatten(), kernel.stride, kernel.padding, groups=groups)
        else:
            if h.ndim == 4:  # (N, B * n, rows, columns)
                maps = h.unflatten(1, (count, -1)).transpose(0, 1)
                h = (maps.flatten(2) if isinstance(kernel, Flattened) else maps.mean((3, 4))).mT  # (B, in * k, N)
            h = torch.baddbmm(bias.unsqueeze(2), weight.flatten(2), h)
        if layer < spec.num_layers - 1:
            # nobody else has h, and the gradient of ReLU needs nothing but the result
            name = spec.activations[layer]
            h = torch.relu_(h) if name == "relu" else ACTIVATIONS[name](h, spec.omegas[layer])
        yield h if h.ndim == 3 else h.unflatten(1, (count, -1)).permute(1, 2, 0, 3, 4)


def _evaluate_images(batch: WeightBatch, images: Tensor) -> Tensor:
    """(B, N, K) outputs of networks with convolutions, the ``output_offset`` included; see ``evaluate``."""
    images = _check_images(batch, images)
    results = []
    for first in range(0, len(batch), TOGETHER):
        own = images if images.ndim == 4 else images[first : first + TOGETHER]
        for outputs in convolved_outputs(batch.params[first : first + TOGETHER], batch.spec, own):  # noqa: B007
            pass
        results.append(outputs.mT)
    if not results:
        return batch.params.new_zeros(0, images.shape[-4], batch.spec.out_dim)
    return torch.cat(results) + batch.spec.output_offset


def _hidden_images(batch: WeightBatch, images: Tensor) -> list[Tensor]:
    """(B, N * positions, n_l) outputs of the hidden neurons; see ``hidden_outputs``."""
    images, params = _check_images(batch, images), batch.params
    if not len(batch):  # groups of a convolution cannot be none
        params = params.new_zeros(1, batch.spec.num_params)
        images = images if images.ndim == 4 else images.new_zeros(1, *images.shape[1:])
    found = convolved_outputs(params, batch.spec, images)
    return [outputs[: len(batch)].flatten(2).mT for outputs in found][:-1]
