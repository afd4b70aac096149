"""Dividing objects into parts with the same mixture of classes, near-copies together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightspace.errors import ZooError


def divided(
    groups: np.ndarray, strata: np.ndarray, sizes: Sequence[int], generator: np.random.Generator
) -> list[np.ndarray]:
    """Draws parts of given sizes so that no group is in two parts, and each has about the same mixture of strata.

    The largest groups are placed first, each in the part that lacks most of its stratum; what is in no part lacks, too.

    Args:
        groups: (n,) group of each object.
        strata: (n,) stratum of each object; that of a group is its first object's.
        sizes: of the parts, in sum at most n.
        generator: of the order of equally large groups, and within the parts.

    Raises:
        ZooError: the groups are too large to fill the parts.
    """
    rest = len(groups) - sum(sizes)
    room = np.array([*sizes, rest])
    _, strata = np.unique(strata, return_inverse=True)
    lacking = np.bincount(strata)[:, None] * room / max(1, len(groups))  # objects of each stratum in each part
    parts: list[list[np.ndarray]] = [[] for _ in room]
    for members in _largest_first(groups, generator):
        lacks = lacking[strata[members[0]]]
        fits = room >= len(members)
        if not fits.any():  # some of a group are in no split at all, its others in one
            part = int(room[:-1].argmax())
            members = members[: room[part]]
        else:
            part = int(np.where(fits, lacks, -np.inf).argmax())
        parts[part].append(members)
        room[part] -= len(members)
        lacks[part] -= len(members)
    if room[:-1].any():
        raise ZooError(
            f"near-copies among {len(groups)} objects, which stay in one split, cannot be divided into "
            f"{', '.join(map(str, sizes))}: ask for {int(room[:-1].sum())} fewer"
        )
    return [generator.permutation(np.concatenate(part)) if part else np.arange(0) for part in parts[:-1]]


def dealt(groups: np.ndarray, strata: np.ndarray, parts: int, generator: np.random.Generator) -> np.ndarray:
    """Deals all objects to equal parts: no group to two of them, and to each the same mixture of strata.

    The largest groups are dealt first, each to a part with the fewest objects of its stratum, of these to one with the
    fewest of all. Without groups, no two parts differ by more than one object of a stratum.

    Args:
        groups: (n,) group of each object.
        strata: (n,) stratum of each object; that of a group is its first object's.
        parts: how many, >= 1.
        generator: of the order of equally large groups, and of the parts.

    Returns:
        (n,) int64 part of each object.

    >>> parts = dealt(np.array([0, 0, 1, 2]), np.zeros(4), 2, np.random.default_rng(0))
    >>> bool(parts[0] == parts[1] != parts[2] == parts[3])
    True
    """
    _, strata = np.unique(strata, return_inverse=True)
    counts = np.zeros((int(strata.max(initial=0)) + 1, parts), dtype=np.int64)
    result = np.zeros(len(groups), dtype=np.int64)
    for members in _largest_first(groups, generator):
        of_stratum = counts[strata[members[0]]]
        part = np.lexsort((counts.sum(0), of_stratum))[0]
        result[members] = part
        of_stratum[part] += len(members)
    return generator.permutation(parts)[result]  # else the largest group would always be in the first part


def _largest_first(groups: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """The objects of each group; equally large ones in random order."""
    order = generator.permutation(len(groups))
    _, first, inverse, counts = np.unique(groups[order], return_index=True, return_inverse=True, return_counts=True)
    members = np.split(order[np.argsort(inverse, kind="stable")], np.cumsum(counts)[:-1])
    return [members[group] for group in np.lexsort((first, -counts))]
