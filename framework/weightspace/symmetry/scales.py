"""Scales of hidden ReLU neurons: unit norm, and the scale that brings a network closest to another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, pack_layers
from weightspace.symmetry.layers import incoming, of_columns

#: Damped Newton steps for one layer's scales, of the first sweep and of those that go on from there.
NEWTON_STEPS = 12, 4
#: Largest |log scale| that a refinement goes to, where the distance has no minimum.
LOG_LIMIT = 7.0


def unit_scales(batch: WeightBatch) -> tuple[Tensor, ...]:
    """Scales (B, n_l) per hidden layer that give each neuron's incoming weights and bias together unit norm.

    A neuron whose incoming weights and bias are zero keeps its scale (1).
    """
    scales: list[Tensor] = []
    for layer, width in enumerate(batch.spec.widths[1:-1]):
        rows = batch.weights[layer]
        if scales:
            rows = rows / of_columns(scales[-1], rows)
        square = incoming(rows).square().sum(2) + batch.biases[layer].square()
        assert square.shape == (len(batch), width)
        # replaced before the root, whose gradient at zero is infinite
        scales.append(torch.where(square > 0, square, 1).rsqrt())
    return tuple(scales)


def silence_zero_neurons(batch: WeightBatch) -> WeightBatch:
    """The same functions, in which ReLU neurons without incoming weights and bias send zeros on.

    Such a neuron is always 0, so that its scale, which moves its outgoing weights alone, can be any.
    """
    weights = list(batch.weights)
    for layer, bias in enumerate(batch.biases[:-1]):
        alive = (incoming(weights[layer]) != 0).any(2) | (bias != 0)
        weights[layer + 1] = weights[layer + 1] * of_columns(alive, weights[layer + 1])
    return batch.replace(params=pack_layers(weights, batch.biases, batch.spec))


def closest_scales(reference: WeightBatch, moved: WeightBatch, sweeps: int = 3) -> tuple[Tensor, ...]:
    """Scales (B, n_l) that bring ``moved`` closer to ``reference``, neuron by neuron in the given order.

    Coordinate descent over the layers; a layer's neurons are independent of each other, and for one of them
    ``f(a) = |w1 - a w2|^2 + |c1 - c2 / a|^2`` (incoming weights with bias w, outgoing weights c) is minimised over
    log a by Newton's method with steps that never raise f. Zero neurons keep their scale.

    Of the weights, f needs sums of products alone. Scales of the layers around take part in them as factors of an
    edge, so that the weights are read once, and not in every sweep.
    """
    inner, square = _of_edges(reference, moved), _of_edges(moved, moved)
    scales = [torch.ones_like(bias) for bias in moved.biases[:-1]]
    for sweep in range(sweeps):
        for layer in range(len(scales)):
            a, c = _sums(*inner, scales, layer)
            n, m = _sums(*square, [scale.square() for scale in scales], layer)
            closest = scales[layer] * _closest(a, n, c, m, NEWTON_STEPS[min(sweep, 1)])
            scales[layer] = closest.clamp(math.exp(-LOG_LIMIT), math.exp(LOG_LIMIT))
    return tuple(scales)


def _of_edges(first: WeightBatch, second: WeightBatch) -> tuple[list[Tensor], list[Tensor]]:
    """Products of weights (B, out, in), summed over a kernel's positions, and of biases (B, out), per layer."""
    products = [w1 * w2 for w1, w2 in zip(first.weights, second.weights, strict=True)]
    edges = [product if product.ndim == 3 else product.sum(3) for product in products]
    return edges, [b1 * b2 for b1, b2 in zip(first.biases, second.biases, strict=True)]


def _sums(edges: list[Tensor], biases: list[Tensor], gains: list[Tensor], layer: int) -> tuple[Tensor, Tensor]:
    """(B, n_l) sums over a neuron's incoming edges and bias, and over its outgoing edges, which its gain divides."""
    before, after = edges[layer : layer + 2]
    if layer > 0:
        before = before / gains[layer - 1].unsqueeze(1)
    if layer + 1 < len(gains):
        after = after * gains[layer + 1].unsqueeze(2)
    return gains[layer] * (before.sum(2) + biases[layer]), after.sum(1) / gains[layer]


def _closest(a: Tensor, n: Tensor, c: Tensor, m: Tensor, steps: int) -> Tensor:
    """(B, n_l) factors that make ``f`` least, of ``a = <w1, w2>``, ``n = |w2|^2``, ``c = <c1, c2>``, ``m = |c2|^2``."""
    squares, products = torch.stack([n, m]), torch.stack([a, c])
    directions = torch.tensor([1, -1], device=n.device)[:, None, None]

    def at(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """f, up to a constant, at the factor exp(t), half of its first derivative and minus half of its second."""
        factors = (directions * t).exp()
        linear = products * factors
        (up, down), (a, c) = squares * factors * factors, linear
        both, total = up + down, a + c
        return torch.sub(both, total, alpha=2), up - down - a + c, torch.sub(total, both, alpha=2)

    t, damping = torch.zeros_like(n), torch.ones_like(n)
    least, slope, bend = at(t)
    for _ in range(steps):
        step = (slope / bend.abs().clamp_(min=1e-12)).clamp_(-1, 1)
        trial = (t - damping * step).clamp_(-LOG_LIMIT, LOG_LIMIT)
        found = at(trial)
        better = found[0] < least
        t = torch.where(better, trial, t)
        least, slope, bend = (
            torch.where(better, new, old) for new, old in zip(found, (least, slope, bend), strict=True)
        )
        damping = torch.where(better, 1.0, damping / 4)
    return torch.where(n > 0, t, 0).exp()
