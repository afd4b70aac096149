"""Weight matching: for each pair of networks, the symmetry that brings the second closest to the first."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, check_batch
from weightspace.checks import check_whole
from weightspace.errors import SpecError
from weightspace.network import hidden_outputs
from weightspace.symmetry.assignment import assign
from weightspace.symmetry.blocks import in_threads
from weightspace.symmetry.descent import Descent
from weightspace.symmetry.element import GroupElement
from weightspace.symmetry.groups import resolve_group
from weightspace.symmetry.scales import closest_scales, unit_scales
from weightspace.symmetry.transforms import scale_neurons

#: Most scores of a layer that are computed together, 16 pairs of networks 128 wide or 256 pairs 32 wide, and the fewest
#: that are worth a thread.
BLOCK_ENTRIES, FEWEST_ENTRIES = 2**18, 2**15


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
    depend on the order in which the neurons come. ReLU networks are matched twice, with neurons of unit norm and as
    they are, then the scales are refined and the closer result is kept: never farther away than without scales.

    Args:
        reference: B networks.
        other: B networks of the same architecture; pair i is (reference[i], other[i]).
        group: "auto" (all symmetries of the activation) or one of ``GROUPS``.
        sweeps: over the layers, >= 1, the first one included; ends earlier once nothing changes. Further sweeps never
            raise the distance (of ReLU networks: before the scales are refined).
        restarts: further starts, from random elements; the closest result of each pair is kept.
        generator: for the restarts.
        coordinates: (N, d) points; if given, the first sweep matches neurons by the correlation of their outputs
            there instead of their weights.

    Returns:
        One element per pair: ``element.apply(other)`` is the aligned batch. It does not depend on the number of
        threads; of several assignments with the same total, the solver's choice counts (see ``use_solver``).

    Raises:
        SpecError: not batches, different architectures or counts, a group that the activation does not have, a value
            out of range.
    """
    for name, batch in (("reference", reference), ("other", other)):
        check_batch(name, batch)
    symmetries = resolve_group(group, reference.spec)
    _check(reference, other, sweeps, restarts, generator)
    starts = [_random_start(other, symmetries, generator) for _ in range(restarts)]

    @torch.autocast(other.device.type, enabled=False)
    def block(rows: slice) -> GroupElement:
        pair = _rows(reference, rows), _rows(other, rows)
        return _closest(*pair, symmetries, sweeps, coordinates, [start[rows] for start in starts])

    return GroupElement.cat(in_threads(block, _blocks(other), other.device))


def _blocks(batch: WeightBatch) -> list[slice]:
    """The pairs that are aligned together: few enough for the scores of a layer to stay in cache, or one per thread."""
    entries, count = max(batch.spec.widths) ** 2, len(batch)
    each = -(-count // torch.get_num_threads())
    size = max(1, FEWEST_ENTRIES // entries, min(BLOCK_ENTRIES // entries, each))
    return [slice(first, first + size) for first in range(0, max(1, count), size)]


def _rows(batch: WeightBatch, rows: slice) -> WeightBatch:
    return WeightBatch(batch.params[rows], batch.spec)


def _random_start(batch: WeightBatch, symmetries: frozenset[str], generator: torch.Generator | None) -> GroupElement:
    assert generator is not None
    return GroupElement.random(batch, symmetries - {"scale"}, generator, max_phase=1)


def _closest(
    reference: WeightBatch,
    other: WeightBatch,
    symmetries: frozenset[str],
    sweeps: int,
    coordinates: Tensor | None,
    starts: list[GroupElement],
) -> GroupElement:
    """The closest of the results from the first sweep and from given elements, for each pair."""
    search = _align_scaled if "scale" in symmetries else _align_from
    best = search(None, reference, other, symmetries, sweeps, coordinates)
    for start in starts:
        best = _closer(best, search(start, reference, other, symmetries, sweeps, coordinates), reference, other)
    return best


def _closer(first: GroupElement, second: GroupElement, reference: WeightBatch, other: WeightBatch) -> GroupElement:
    """For each pair, the second of two elements if it brings it closer, else the first, also if that is not known."""
    gain = squared_distance(reference, first.apply(other)) - squared_distance(reference, second.apply(other))
    return second.where(gain > 0, first)


def squared_distance(first: WeightBatch, second: WeightBatch) -> Tensor:
    """(B,) squared Euclidean distances of the parameters.

    Args:
        first, second: B pairs of networks.

    Raises:
        SpecError: they are no pairs of one architecture, dtype and device.
    """
    for name, batch in (("first", first), ("second", second)):
        check_batch(name, batch)
    check_pairs(first, second, "squared_distance")
    return (first.params - second.params).square().sum(1)


def check_pairs(first: WeightBatch, second: WeightBatch, what: str) -> None:
    """Raises SpecError unless two batches are pairs: of one architecture, number, dtype and device.

    Args:
        first, second: batches.
        what: takes them, for the message.
    """
    if first.spec != second.spec or len(first) != len(second):
        raise SpecError(
            f"{what} takes pairs: found {len(first)} networks {first.spec} and {len(second)} networks {second.spec}"
        )
    if first.params.dtype != second.params.dtype or first.device != second.device:
        kinds = " and ".join(f"{b.params.dtype} on {b.device}" for b in (first, second))
        raise SpecError(f"{what} takes two batches of one dtype on one device, found {kinds}")


def _check(first: WeightBatch, second: WeightBatch, sweeps: int, restarts: int, generator: object) -> None:
    check_pairs(first, second, "alignment")
    if len(first) and not torch.stack([*first.params.aminmax(), *second.params.aminmax()]).isfinite().all():
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
    descent = Descent(reference, other, start, symmetries)
    if start is None:
        given = None if coordinates is None else _orders_by_outputs(reference, other, symmetries, coordinates)
        _first_sweep(descent, given)
    for _ in range(sweeps - (start is None)):
        for layer in descent.layers:
            descent.match(layer, outgoing=True)
    return descent.element


def _align_scaled(
    start: GroupElement | None,
    reference: WeightBatch,
    other: WeightBatch,
    symmetries: frozenset[str],
    sweeps: int,
    coordinates: Tensor | None,
) -> GroupElement:
    """The closer of two matches, of neurons with unit norm and as they are, both refined by the closest scales.

    The first does not depend on the scales that both networks have; but where a neuron is close to zero, as many of
    trained networks are, its scale at unit norm is so large that no refinement finds back. The second is never farther
    away than without scales.
    """

    unscaled = symmetries - {"scale"}
    target, unit = unit_scales(reference), unit_scales(other)
    pair = scale_neurons(reference, target), scale_neurons(other, unit)
    matched = _align_from(start, *pair, unscaled, sweeps, coordinates).after(_rescaling(unit))
    normalised = _rescaling(tuple(1 / scale for scale in target)).after(matched)
    plain = _rescaling(tuple(map(torch.ones_like, unit))).after(
        _align_from(start, reference, other, unscaled, sweeps, coordinates)
    )
    return _refined(plain, normalised, reference, other)


def _rescaling(scales: tuple[Tensor, ...]) -> GroupElement:
    orders = (torch.arange(part.shape[1], device=part.device).expand_as(part) for part in scales)
    return GroupElement(tuple(orders), scales=scales)


def _refined(first: GroupElement, second: GroupElement, reference: WeightBatch, other: WeightBatch) -> GroupElement:
    """The closer of two elements with the closest scales; the first also if the second is not known to be closer."""
    references, others = (WeightBatch(batch.params.repeat(2, 1), batch.spec) for batch in (reference, other))
    elements = GroupElement.cat([first, second])
    moved = elements.apply(others)
    scales = closest_scales(references, moved)
    elements = _rescaling(scales).after(elements)
    # scales of unit norm can leave the range of float32, and a distance be NaN
    distances = squared_distance(references, scale_neurons(moved, scales))
    one, two = elements[: len(other)], elements[len(other) :]
    return two.where(distances[len(other) :] < distances[: len(other)], one)


def _first_sweep(descent: Descent, given: list[Tensor] | None = None) -> None:
    """The first sweep, from the input on: by incoming weights alone, or with given orders."""
    for layer in descent.layers:
        last = layer == descent.layers[-1]
        descent.match(layer, outgoing=last, order=None if given is None else given[layer])


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
