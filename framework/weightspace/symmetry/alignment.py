"""Weight matching: for each pair of networks, the symmetry that brings the second closest to the first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, check_batch
from weightspace.checks import check_whole
from weightspace.errors import SpecError
from weightspace.network import hidden_outputs
from weightspace.symmetry.element import GroupElement, resolve_group
from weightspace.symmetry.matching import Overlaps, assign, best_score, best_sign_and_phase
from weightspace.symmetry.scales import closest_scales, unit_scales
from weightspace.symmetry.transforms import scale_neurons

#: Scores of a layer that are computed together on a CPU: 32 pairs of networks 128 wide, 512 pairs 32 wide.
BLOCK_ENTRIES = 2**19


@torch.no_grad()
def align(
    reference: WeightBatch,
    other: WeightBatch,
    group: str = "auto",
    sweeps: int = 2,
    restarts: int = 0,
    generator: torch.Generator | None = None,
    coordinates: Tensor | None = None,
) -> GroupElement:
    """Group elements g that make ``|reference - g.other|^2`` small, pair by pair (Ainsworth et al., arXiv 2209.04836).

    Coordinate descent over hidden layers: with its neighbours fixed, a layer is a linear assignment problem, in which
    sign and phase of each pair of neurons are found in closed form. The first sweep looks at incoming weights and
    biases only, layer by layer from the input (the last hidden layer also at its outgoing weights), so it does not
    depend on the order in which the neurons come. ReLU networks are matched with neurons of unit norm, then the scales
    are refined.

    Args:
        reference: B networks.
        other: B networks of the same architecture; pair i is (reference[i], other[i]).
        group: "auto" (all symmetries of the activation) or one of ``GROUPS``.
        sweeps: over the layers, >= 1, the first one included; ends earlier once nothing changes. Further sweeps never
            raise the distance (of ReLU networks: the distance at unit norm).
        restarts: further starts, from random elements; the closest result of each pair is kept.
        generator: for the restarts.
        coordinates: (N, d) points; if given, the first sweep matches neurons by the correlation of their outputs
            there instead of their weights.

    Returns:
        One element per pair: ``element.apply(other)`` is the aligned batch. Ties are broken by position.

    Raises:
        SpecError: not batches, different architectures or counts, a group that the activation does not have, a value
            out of range.
    """
    for name, batch in (("reference", reference), ("other", other)):
        check_batch(name, batch)
    symmetries = resolve_group(group, reference.spec)
    _check(reference, other, sweeps, restarts, generator)
    blocks = torch.arange(len(other), device=other.device).split(_block_size(other))
    if len(blocks) > 1:
        pairs = [(reference.select(rows), other.select(rows)) for rows in blocks]
        return GroupElement.cat([align(*pair, group, sweeps, restarts, generator, coordinates) for pair in pairs])
    best = _align_from(None, reference, other, symmetries, sweeps, coordinates)
    for _ in range(restarts):
        assert generator is not None
        start = GroupElement.random(other, symmetries - {"scale"}, generator, max_phase=1)
        again = _align_from(start, reference, other, symmetries, sweeps, coordinates)
        closer = squared_distance(reference, again.apply(other)) < squared_distance(reference, best.apply(other))
        best = again.where(closer, best)
    return best


def _block_size(batch: WeightBatch) -> int:
    """Number of pairs that are aligned together: on a CPU, few enough for the scores of a layer to stay in cache."""
    if batch.device.type != "cpu":
        return max(1, len(batch))
    return max(1, BLOCK_ENTRIES // max(batch.spec.widths) ** 2)


def squared_distance(first: WeightBatch, second: WeightBatch) -> Tensor:
    """(B,) squared Euclidean distances of the parameters."""
    return (first.params - second.params).square().sum(1)


def _check(first: WeightBatch, second: WeightBatch, sweeps: int, restarts: int, generator: object) -> None:
    if first.spec != second.spec or len(first) != len(second):
        raise SpecError(
            f"alignment takes pairs: found {len(first)} networks {first.spec} and {len(second)} networks {second.spec}"
        )
    if first.params.dtype != second.params.dtype or first.device != second.device:
        kinds = " and ".join(f"{b.params.dtype} on {b.device}" for b in (first, second))
        raise SpecError(f"alignment takes two batches of one dtype on one device, found {kinds}")
    if not bool(first.params.isfinite().all() and second.params.isfinite().all()):
        raise SpecError("alignment takes finite parameters, found NaN or infinity")
    check_whole("sweeps", sweeps, low=1, error=SpecError)
    check_whole("restarts", restarts, low=0, error=SpecError)
    if restarts and generator is None:
        raise SpecError("restarts are random: pass a torch.Generator")


def _align_from(
    start: GroupElement | None,
    reference: WeightBatch,
    other: WeightBatch,
    symmetries: frozenset[str],
    sweeps: int,
    coordinates: Tensor | None,
) -> GroupElement:
    """Coordinate descent from a given element, or from the result of the first sweep."""
    if "scale" in symmetries:
        return _align_scaled(start, reference, other, symmetries - {"scale"}, sweeps, coordinates)
    if start is not None:
        return _descend(reference, _Moving(other, start, symmetries), sweeps)
    return _descend(reference, _first_sweep(reference, other, symmetries, coordinates), sweeps - 1)


def _align_scaled(
    start: GroupElement | None,
    reference: WeightBatch,
    other: WeightBatch,
    symmetries: frozenset[str],
    sweeps: int,
    coordinates: Tensor | None,
) -> GroupElement:
    """Permutation of neurons normalised to unit norm, then the scales that bring them closest to the reference."""

    def rescaling(scales: tuple[Tensor, ...]) -> GroupElement:
        return GroupElement(GroupElement.identity(other).orders, scales=scales)

    target, unit = unit_scales(reference), unit_scales(other)
    pair = scale_neurons(reference, target), scale_neurons(other, unit)
    matched = _align_from(start, *pair, symmetries, sweeps, coordinates).after(rescaling(unit))
    element = rescaling(tuple(1 / scale for scale in target)).after(matched)
    return rescaling(closest_scales(reference, element.apply(other))).after(element)


def _first_sweep(
    reference: WeightBatch, other: WeightBatch, symmetries: frozenset[str], coordinates: Tensor | None
) -> _Moving:
    """The first sweep, from the input on: by incoming weights alone, or by outputs at the given points."""
    moving = _Moving(other, None, symmetries)
    given = None if coordinates is None else _orders_by_outputs(reference, other, symmetries, coordinates)
    last = len(moving.weights) - 2
    for layer in range(last + 1):
        moving.match(reference, layer, outgoing=layer == last, order=None if given is None else given[layer])
    return moving


def _descend(reference: WeightBatch, moving: _Moving, sweeps: int) -> GroupElement:
    """Further sweeps, by incoming and outgoing weights; none of them raises the distance."""
    for _ in range(sweeps):
        for layer in range(len(moving.weights) - 1):
            moving.match(reference, layer, outgoing=True)
    return moving.element()


def _orders_by_outputs(
    reference: WeightBatch, other: WeightBatch, symmetries: frozenset[str], coordinates: Tensor
) -> list[Tensor]:
    """Per hidden layer, the assignment with the largest (absolute, if signs are free) correlation of outputs."""
    orders = []
    pairs = zip(hidden_outputs(reference, coordinates), hidden_outputs(other, coordinates), strict=True)
    for first, second in pairs:
        correlation = _standardised(first).transpose(1, 2) @ _standardised(second)
        orders.append(assign(correlation.abs() if "sign" in symmetries else correlation))
    return orders


def _standardised(outputs: Tensor) -> Tensor:
    """(B, N, n) with mean 0 and norm 1 over the points; constant neurons become 0."""
    centred = outputs - outputs.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)


class _Moving:
    """State of the descent: the layers of the second network of each pair, and the element applied so far."""

    def __init__(self, batch: WeightBatch, start: GroupElement | None, symmetries: frozenset[str]) -> None:
        self.spec, self.symmetries = batch.spec, symmetries
        moved = batch if start is None else start.apply(batch)
        start = start or GroupElement.identity(batch)
        self.weights, self.biases = [w.clone() for w in moved.weights], [b.clone() for b in moved.biases]
        hidden = moved.biases[:-1]
        self.orders = [order.clone() for order in start.orders]
        self.signs = [s.clone() for s in start.signs or [torch.ones_like(b) for b in hidden]]
        self.phases = [k.clone() for k in start.phases or [torch.zeros_like(b) for b in hidden]]
        self.pending = [torch.ones(len(moved), dtype=torch.bool, device=moved.device) for _ in hidden]

    def match(self, reference: WeightBatch, layer: int, outgoing: bool, order: Tensor | None = None) -> None:
        """Moves one layer's neurons to their best (or the given) places.

        Pairs in which neither this layer nor its neighbours have changed since it was matched are skipped.
        """
        rows = self.pending[layer].nonzero().squeeze(1)
        if not len(rows):
            return
        everything = len(rows) == len(self.pending[layer])
        reference = reference if everything else reference.select(rows)
        omega = self.spec.omegas[layer]
        overlaps = self._overlaps(reference, slice(None) if everything else rows, layer, outgoing)
        given = order is not None
        if order is None:
            order = assign(best_score(overlaps, self.symmetries, omega))
        sign, phase = best_sign_and_phase(overlaps.matched(order), self.symmetries, omega)
        moved = (order != torch.arange(order.shape[1], device=order.device)) | (sign != 1) | (phase != 0)
        self.pending[layer][rows] = given or not outgoing
        moved_rows = moved.any(1)
        if not moved_rows.any():
            return
        self._move(layer, rows[moved_rows], order[moved_rows], sign[moved_rows], phase[moved_rows])
        for neighbour in (layer - 1, layer + 1):
            if 0 <= neighbour < len(self.pending):
                self.pending[neighbour][rows[moved_rows]] = True

    def _overlaps(self, reference: WeightBatch, rows: Tensor | slice, layer: int, outgoing: bool) -> Overlaps:
        """Inner products of all neurons of a layer with all neurons of the reference."""
        incoming = reference.weights[layer] @ self.weights[layer][rows].transpose(1, 2)
        following = self.weights[layer + 1][rows] if outgoing else None
        outer = None if following is None else reference.weights[layer + 1].transpose(1, 2) @ following
        bias1, bias2 = reference.biases[layer].unsqueeze(2), self.biases[layer][rows].unsqueeze(1)
        return Overlaps(incoming, outer, bias1, bias2)

    def _move(self, layer: int, rows: Tensor, order: Tensor, sign: Tensor, phase: Tensor) -> None:
        pairs, shift = rows.unsqueeze(1), math.pi / self.spec.omegas[layer]
        gain = sign * (1 - 2 * phase.remainder(2))
        following = self.weights[layer + 1][rows].take_along_dim(order.unsqueeze(1), 2)
        self.weights[layer][rows] = self.weights[layer][pairs, order] * sign.unsqueeze(2)
        self.biases[layer][rows] = self.biases[layer][pairs, order] * sign + phase * shift
        self.weights[layer + 1][rows] = following * gain.unsqueeze(1)
        self.orders[layer][rows] = self.orders[layer][pairs, order]
        self.signs[layer][rows] = self.signs[layer][pairs, order] * sign
        self.phases[layer][rows] = self.phases[layer][pairs, order] * sign + phase

    def element(self) -> GroupElement:
        """The element applied so far, with the parts that its group has."""

        def part(name: str, values: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
            return tuple(values) if name in self.symmetries else None

        return GroupElement(tuple(self.orders), part("sign", self.signs), part("phase", self.phases))
