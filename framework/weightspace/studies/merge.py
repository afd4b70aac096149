"""Merging networks that were trained apart: aligned, then mixed (Ainsworth et al., Git Re-Basin, arXiv 2209.04836)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, check_batch
from weightspace.checks import check_number, check_whole
from weightspace.symmetry import GROUPS, align
from weightspace.symmetry.alignment import check_pairs

#: No alignment at all, as a group of a line.
NONE = "not aligned"


def merge(first: WeightBatch, second: WeightBatch, weight: float = 0.5, group: str | None = "auto") -> WeightBatch:
    """Mixes pairs of networks, the second of each aligned with the first.

    Args:
        first, second: B networks each, of one architecture.
        weight: of the second network, in 0..1.
        group: symmetries that alignment removes, see ``align``; None: no alignment.

    Returns:
        B networks in the coordinates of the first ones, with all else that is known of these.

    Raises:
        ConfigError: the weight is out of range.
        SpecError: no batches, other architectures or counts, or a group that the activation does not have.
    """
    check_number("weight", weight, low=0, high=1)
    aligned = _aligned(first, second, group)
    return first.replace(params=torch.lerp(first.params, aligned.params, weight), frame=None)


def line(
    first: WeightBatch,
    second: WeightBatch,
    measure: Callable[[WeightBatch], Tensor],
    groups: Sequence[str] | None = None,
    steps: int = 11,
) -> dict[str, Tensor]:
    """Measures networks on the straight line from the first to the second, as it is and once it is aligned.

    Args:
        first, second: B networks each.
        measure: (B,) of B networks, for instance their accuracies.
        groups: symmetries that are removed; None: those of the activation, from the permutations on.
        steps: points of the line with both ends, >= 2.

    Returns:
        (steps, B) for each group, and under "not aligned" without alignment.
    """
    check_whole("steps", steps, low=2)
    named = groups_of(first) if groups is None else list(groups)
    found = {}
    for group in (None, *named):
        aligned = _aligned(first, second, group)
        between = [torch.lerp(first.params, aligned.params, float(t)) for t in torch.linspace(0, 1, steps)]
        found[group or NONE] = torch.stack([measure(first.replace(params=params, frame=None)) for params in between])
    return found


def _aligned(first: WeightBatch, second: WeightBatch, group: str | None) -> WeightBatch:
    """The second of each pair, aligned with the first, or as it is."""
    check_batch("first", first)
    check_batch("second", second)
    check_pairs(first, second, "merging")
    return second if group is None else align(first, second, group).apply(second)


def groups_of(batch: WeightBatch) -> list[str]:
    """The groups of the activation of some networks, the smallest first.

    >>> from weightspace.spec import NetworkSpec
    >>> spec = NetworkSpec((2, 3, 1), "relu")
    >>> groups_of(WeightBatch(torch.zeros(1, spec.num_params), spec))
    ['permutation', 'permutation+scale']
    """
    return [name for name in GROUPS if set(name.split("+")) <= batch.spec.symmetries]
