"""One representative of each network's orbit under the symmetries of its hidden neurons."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, check_batch
from weightspace.checks import check_number
from weightspace.errors import SpecError
from weightspace.symmetry.element import GroupElement
from weightspace.symmetry.groups import resolve_group
from weightspace.symmetry.layers import incoming
from weightspace.symmetry.scales import unit_scales


def canonicalise(batch: WeightBatch, group: str = "auto", tolerance: float = 1e-6) -> WeightBatch:
    """The canonical form: networks that differ by a symmetry get the same weights; the function stays.

    Rules, for hidden layers from the input on, each after the layers before it:

    - scale (ReLU): incoming weights and bias of a neuron have norm 1; a zero neuron keeps its scale.
    - sign (sine, tanh): the largest incoming weight in absolute value is positive (of several within the tolerance, the
      first). If all are zero, the bias (after its phase) is; if that is zero too, the neuron keeps its sign.
    - phase (sine): the bias is in (-pi / 2 omega, pi / 2 omega]; within the tolerance, the lower end becomes the upper.
    - order: ascending by the first incoming weight, then by the second, ..., then by the bias; neurons that agree in
      all of them within the tolerance keep their mutual order.

    The form is unique unless neurons of a layer agree within the tolerance, or one has neither incoming weights nor
    bias.

    Args:
        batch: B networks.
        group: "auto" (all symmetries of the activation) or one of ``GROUPS``.
        tolerance: differences below it, in proportion to the layer's largest absolute entry (for the phase, to
            pi / omega), count as equal.

    Raises:
        SpecError: not a batch, a group that the activation does not have, or a tolerance out of range.
    """
    return canonical_element(batch, group, tolerance).apply(batch)


def canonical_element(batch: WeightBatch, group: str = "auto", tolerance: float = 1e-6) -> GroupElement:
    """The group element that brings each network to its canonical form: see ``canonicalise``."""
    check_batch("batch", batch)
    symmetries = resolve_group(group, batch.spec)
    check_number("tolerance", tolerance, low=0, below=1, error=SpecError)
    element = GroupElement.identity(batch)
    if "scale" in symmetries:
        element = GroupElement(element.orders, scales=unit_scales(batch))
    for layer in range(batch.spec.num_layers - 1):
        for step in (_signs_and_phases, _order):
            if step is _order or "sign" in symmetries:
                element = step(element.apply(batch), layer, symmetries, tolerance).after(element)
    return element


def _signs_and_phases(batch: WeightBatch, layer: int, symmetries: frozenset[str], tolerance: float) -> GroupElement:
    """Fixes the signs of one layer's neurons and, for sine, their phases."""
    weights, bias = incoming(batch.weights[layer]), batch.biases[layer]
    sign = _sign_of_largest(weights, tolerance * weights.abs().amax((1, 2))[:, None])
    unit = math.pi / batch.spec.omegas[layer]
    phase = _phase_to_smallest(sign * bias, unit, tolerance) if "phase" in symmetries else torch.zeros_like(bias)
    moved = sign * bias + phase * unit
    slack = tolerance * (unit if "phase" in symmetries else bias.abs().amax(1, keepdim=True))
    # without incoming weights the sign was free: it makes the bias positive
    flip = (weights.abs().amax(2) <= tolerance * weights.abs().amax((1, 2))[:, None]) & (moved < -slack)
    sign, phase = torch.where(flip, -sign, sign), torch.where(flip, -phase, phase)
    identity = GroupElement.identity(batch).orders
    signs, phases = [torch.ones_like(b) for b in batch.biases[:-1]], [torch.zeros_like(b) for b in batch.biases[:-1]]
    signs[layer], phases[layer] = sign, phase
    return GroupElement(identity, tuple(signs), tuple(phases) if "phase" in symmetries else None)


def _sign_of_largest(weights: Tensor, slack: Tensor) -> Tensor:
    """(B, n) sign of each row's entry of largest absolute value, +1 for rows of zeros."""
    size = weights.abs()
    first = (size >= size.amax(2, keepdim=True) - slack.unsqueeze(2)).to(torch.uint8).argmax(2, keepdim=True)
    entry = weights.take_along_dim(first, 2).squeeze(2)
    return torch.where((entry < 0) & (size.amax(2) > slack), -1.0, 1.0).to(weights.dtype)


def _phase_to_smallest(bias: Tensor, unit: float, tolerance: float) -> Tensor:
    """Multiples k for which bias + k unit lies in (-unit / 2, unit / 2]."""
    return -torch.ceil(bias / unit - 0.5 - tolerance)


def _order(batch: WeightBatch, layer: int, symmetries: frozenset[str], tolerance: float) -> GroupElement:
    """Sorts one layer's neurons."""
    keys = torch.cat([incoming(batch.weights[layer]), batch.biases[layer].unsqueeze(2)], dim=2)
    ranks = _ranks(keys, tolerance * keys.abs().amax((1, 2))[:, None, None])
    order = torch.arange(keys.shape[1], device=keys.device).expand(keys.shape[:2])
    for key in reversed(range(keys.shape[2])):  # stable sorts from the last key to the first: lexicographic
        order = order.take_along_dim(ranks[:, :, key].take_along_dim(order, 1).argsort(dim=1, stable=True), 1)
    orders = list(GroupElement.identity(batch).orders)
    orders[layer] = order
    return GroupElement(tuple(orders))


def _ranks(keys: Tensor, slack: Tensor) -> Tensor:
    """(B, n, d) ranks over the neurons; neighbours in value that differ by no more than the slack share one."""
    values, where = keys.sort(1)
    steps = torch.nn.functional.pad((values.diff(dim=1) > slack).long(), (0, 0, 1, 0)).cumsum(1)
    return torch.empty_like(where).scatter_(1, where, steps)
