"""Scales of hidden ReLU neurons: unit norm, and the scale that brings a network closest to another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, pack_layers
from weightspace.symmetry.layers import incoming, of_columns, outgoing
from weightspace.symmetry.transforms import scale_neurons

#: Damped Newton steps for one layer's scales; they converge in about six.
NEWTON_STEPS = 12
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
    """
    scales = [torch.ones_like(bias) for bias in moved.biases[:-1]]
    for _ in range(sweeps):
        for layer in range(len(scales)):
            current = scale_neurons(moved, scales)
            closest = scales[layer] * _closest_layer(reference, current, layer)
            scales[layer] = closest.clamp(math.exp(-LOG_LIMIT), math.exp(LOG_LIMIT))
    return tuple(scales)


def _closest_layer(reference: WeightBatch, moved: WeightBatch, layer: int) -> Tensor:
    def before(batch: WeightBatch) -> Tensor:
        return torch.cat([incoming(batch.weights[layer]), batch.biases[layer].unsqueeze(2)], dim=2)

    w1, w2 = before(reference), before(moved)
    c1, c2 = (outgoing(batch.weights[layer + 1]) for batch in (reference, moved))
    a, n, c, m = (w1 * w2).sum(2), w2.square().sum(2), (c1 * c2).sum(2), c2.square().sum(2)

    def distance(up: Tensor, down: Tensor) -> Tensor:
        return up * (n * up - 2 * a) + down * (m * down - 2 * c)

    t, up, down, damping = torch.zeros_like(n), torch.ones_like(n), torch.ones_like(n), torch.ones_like(n)
    least = distance(up, down)
    for _ in range(NEWTON_STEPS):
        rising, falling = up * (n * up), down * (m * down)
        slope = 2 * (rising - a * up + c * down - falling)
        bend = 4 * (rising + falling) - 2 * (a * up + c * down)
        step = (slope / bend.abs_().clamp_(min=1e-12)).clamp_(-1, 1)
        trial = (t - damping * step).clamp_(-LOG_LIMIT, LOG_LIMIT)
        trial_up = trial.exp()
        trial_down = 1 / trial_up
        found = distance(trial_up, trial_down)
        better = found < least
        t, least = torch.where(better, trial, t), torch.where(better, found, least)
        up, down = torch.where(better, trial_up, up), torch.where(better, trial_down, down)
        damping = torch.where(better, 1.0, damping / 4)
    return torch.where(n > 0, t, 0).exp()
