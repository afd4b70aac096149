"""Summary statistics of a zoo, from a sample of its networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from weightspace.zoo.splits import evenly_spaced
from weightspace.zoo.store import Zoo

#: Networks that are looked at: for the weights, and for pairs (whose number grows with the square).
WEIGHT_SAMPLE, PAIR_SAMPLE = 4096, 1024
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class LayerWeights:
    """Values of one tensor over the sampled networks: name (W1, b1, ...), mean, standard deviation and largest size."""

    name: str
    values: Tensor
    mean: float
    deviation: float
    largest: float


@dataclass(frozen=True)
class Pair:
    """Two networks (rows of the zoo), and their distance relative to the median distance of the sample."""

    first: int
    second: int
    distance: float


def layer_weights(zoo: Zoo) -> list[LayerWeights]:
    """Statistics of each weight matrix and bias, in the order of the layers."""
    batch = zoo.batch(evenly_spaced(len(zoo), WEIGHT_SAMPLE))
    rows = []
    layers = zip(batch.weights, batch.biases, batch.spec.has_biases, strict=True)
    for layer, (weight, bias, has_bias) in enumerate(layers, start=1):
        for kind, tensor in (("W", weight), ("b", bias))[: 1 + has_bias]:
            values = tensor.flatten()
            statistics = (float(values.mean()), float(values.std(correction=0)), float(values.abs().max()))
            rows.append(LayerWeights(f"{kind}{layer}", values, *statistics))
    return rows


def nearest_pairs(zoo: Zoo, count: int = 3) -> list[Pair]:
    """The pairs of networks that are nearest in weight space, without alignment.

    Networks with independent initialisations are about equally far from each other; much nearer pairs share an
    initialisation, or are copies.
    """
    rows = evenly_spaced(len(zoo), PAIR_SAMPLE)
    if len(rows) < 2:
        return []
    distances = torch.pdist(zoo.params(rows))
    first, second = torch.triu_indices(len(rows), len(rows), offset=1)
    median = float(distances.median()) or 1.0
    nearest = distances.argsort()[:count].tolist()
    return [Pair(int(rows[first[k]]), int(rows[second[k]]), float(distances[k]) / median) for k in nearest]


def text_histogram(values: Tensor, bins: int = 24) -> str:
    """Bars over the range of finite values, with its ends.

    >>> text_histogram(torch.tensor([0.0, 1.0, 1.0, 2.0]), bins=3)
    '0.00 ▄█▄ 2.00'
    """
    finite = values[values.isfinite()].double()
    if not len(finite):
        return "none are finite"
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return f"all {low:.2f}"
    counts = torch.histc(finite, bins, low, high)
    heights = (counts / counts.max() * (len(BARS) - 1)).ceil().long()
    return f"{low:.2f} {''.join(BARS[height] for height in heights.tolist())} {high:.2f}"
