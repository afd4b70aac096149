"""The networks on which contracts are checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from weightspace.activations import ACTIVATIONS
from weightspace.batch import WeightBatch
from weightspace.layers.kernels import Convolution, Flattened
from weightspace.spec import NetworkSpec
from weightspace.testing.check import Case

#: One to three inputs and outputs, two to five layers, another width in every layer.
WIDTHS = ((2, 6, 1), (3, 7, 5, 2), (2, 5, 3, 4, 1), (3, 4, 6, 3, 5, 2))
NETWORKS, CLASSES = 24, 3


def specs(every: tuple[tuple[int, ...], ...] = WIDTHS) -> Iterator[NetworkSpec]:
    """Architectures of every activation and of all these widths, with another frequency in every layer that has one."""
    for name, activation in ACTIVATIONS.items():
        for widths in every:
            omega = tuple(6.0 + layer for layer in range(len(widths) - 2)) if activation.has_frequency else 1.0
            yield NetworkSpec(widths, name, omega, 0.5)


def odd_specs() -> Iterator[NetworkSpec]:
    """Architectures with convolutions and a flattened map, and without some biases, of several activations."""
    kernels = (Convolution((2, 3)), Convolution(2, stride=2, padding=1), Flattened((2, 1)))
    yield NetworkSpec((2, 4, 5, 3), "relu", kernels=kernels)
    yield NetworkSpec((2, 5, 4, 3, 2), ("sine", "tanh", "relu"), (6.0, 1.0, 1.0), biases=(True, False, True, False))


def random_networks(spec: NetworkSpec) -> WeightBatch:
    """Networks in float64, with classes, object and view numbers; the same for every call."""
    generator = torch.Generator().manual_seed(spec.num_layers + 1)
    params = torch.randn(NETWORKS, spec.num_params, generator=generator, dtype=torch.float64) / 2
    numbers = torch.arange(NETWORKS)
    return WeightBatch(params, spec, numbers % CLASSES, numbers + 100, numbers % 2, CLASSES, index=7)


def network_cases(subject: Any, batches: Iterable[WeightBatch]) -> Iterator[Case]:
    """A case for each batch of networks that a subject meets."""
    for batch in batches:
        yield Case((subject, batch), f"on networks {batch.spec}")
