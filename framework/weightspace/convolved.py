"""Evaluating networks with convolutions, all of a batch at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.activations import ACTIVATIONS
from weightspace.batch import WeightBatch, unpack_layers
from weightspace.errors import SpecError
from weightspace.kernels import Convolution, Flattened
from weightspace.spec import NetworkSpec


def check_images(spec: NetworkSpec, images: object) -> None:
    """Raises SpecError unless networks of an architecture with convolutions can read the images."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != spec.in_dim or not len(images):
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise SpecError(f"images must be (N, {spec.in_dim}, height, width) for networks {spec}, found {found}")
    size = images.shape[2], images.shape[3]
    for kernel in spec.kernels:
        if isinstance(kernel, Convolution):
            size = kernel.result(size)
        elif isinstance(kernel, Flattened) and kernel.size != size:
            raise SpecError(
                f"networks {spec} flatten maps of {kernel.size[0]} x {kernel.size[1]}, and images of "
                f"{images.shape[2]} x {images.shape[3]} give {size[0]} x {size[1]}"
            )


def convolved_outputs(params: Tensor, spec: NetworkSpec, images: Tensor) -> Iterator[Tensor]:
    """Outputs of each layer's neurons in turn: the convolutions of B networks are one, in B groups.

    Args:
        params: (B, P) flat vectors of networks of an architecture with convolutions.
        spec: the architecture.
        images: (N, C, H, W) for all networks, in the dtype of the params.

    Yields:
        (B, n_l, N, rows, columns) of convolutions, then (B, n_l, N), the last without the spec's ``output_offset``.
    """
    activation, count = ACTIVATIONS[spec.activation], len(params)
    h = images
    for layer, (weight, bias, kernel) in enumerate(zip(*unpack_layers(params, spec), spec.kernels, strict=True)):
        if isinstance(kernel, Convolution):
            shared = layer == 0  # all networks read the same images
            filters = weight.reshape(-1, weight.shape[2], *kernel.size)
            groups = 1 if shared else count
            h = F.conv2d(h, filters, bias.flatten(), kernel.stride, kernel.padding, groups=groups)
            result = h.unflatten(1, (count, -1)).permute(1, 2, 0, 3, 4)
        else:
            if h.ndim == 4:  # (N, B * n, rows, columns)
                maps = h.unflatten(1, (count, -1)).transpose(0, 1)
                h = maps.flatten(2) if isinstance(kernel, Flattened) else maps.mean((3, 4))
                h = h.mT  # (B, in * k, N)
            h = torch.baddbmm(bias.unsqueeze(2), weight.flatten(2), h)
            result = h
        if layer < spec.num_layers - 1:
            omega = spec.omegas[layer]
            h, result = activation(h, omega), activation(result, omega)
        yield result


def evaluate_images(batch: WeightBatch, images: Tensor) -> Tensor:
    """(B, N, K) outputs of networks with convolutions for images (N, C, H, W), the ``output_offset`` included.

    Raises:
        SpecError: images that the networks cannot read.
    """
    check_images(batch.spec, images)
    outputs = images
    for outputs in convolved_outputs(batch.params, batch.spec, images.to(batch.params)):  # noqa: B007
        pass
    return outputs.mT + batch.spec.output_offset


def hidden_images(batch: WeightBatch, images: Tensor) -> list[Tensor]:
    """Outputs of the hidden neurons for images (N, C, H, W): (B, N * positions, n_l) for each hidden layer.

    Raises:
        SpecError: images that the networks cannot read.
    """
    check_images(batch.spec, images)
    found = convolved_outputs(batch.params, batch.spec, images.to(batch.params))
    return [outputs.flatten(2).mT for outputs in found][:-1]
