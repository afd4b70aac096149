"""Which objects of a source are drawn for training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightspace.errors import ZooError
from weightspace.sources.base import Objects, Source

#: Numbers of objects for training, validation and test.
Sizes = tuple[int, int, int]


def drawn(source: Objects, sizes: Sizes, seed: int) -> list[np.ndarray]:
    """Numbers of the objects of each split, in the order in which they are drawn.

    Validation and test objects come from the source's own sets where it has them, else from the training pool. Where
    the source has groups of near-copies, each is in one split, and classes have the same share of all splits.

    Raises:
        ZooError: the source has too few objects, or groups that cannot be divided so.
    """
    _check_sizes(source, sizes)
    train, val, test = sizes
    own_val, own_test = source.num_val > 0, source.num_test > 0
    generator = np.random.Generator(np.random.PCG64(seed))
    if source.groups is None:
        first, rest = np.split(generator.permutation(source.num_train), [train])
        pools = [first, rest[:val], rest if own_val else rest[val:]]
    else:
        shares = (train, 0 if own_val else val, 0 if own_test else test)
        pools = divided(source.groups[: source.num_train], _strata(source), shares, generator)
    tests = generator.permutation(source.num_test) + source.num_train + source.num_val
    vals = generator.permutation(source.num_val) + source.num_train
    return [pools[0], (vals if own_val else pools[1])[:val], (tests if own_test else pools[2])[:test]]


def divided(
    groups: np.ndarray, strata: np.ndarray, sizes: Sequence[int], generator: np.random.Generator
) -> list[np.ndarray]:
    """Draws parts of objects so that no group is in two parts, and each part has about the same mixture of strata.

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


def _largest_first(groups: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """The objects of each group; equally large ones in random order."""
    order = generator.permutation(len(groups))
    _, first, inverse, counts = np.unique(groups[order], return_index=True, return_inverse=True, return_counts=True)
    members = np.split(order[np.argsort(inverse, kind="stable")], np.cumsum(counts)[:-1])
    return [members[group] for group in np.lexsort((first, -counts))]


def _strata(source: Objects) -> np.ndarray:
    """(num_train,) class of each object, or zeros if there are no classes."""
    if isinstance(source, Source) and source.class_names:
        return source.targets[: source.num_train]
    return np.zeros(source.num_train, dtype=np.int64)


def _check_sizes(source: Objects, sizes: Sizes) -> None:
    train, val, test = sizes
    own_val, own_test = source.num_val > 0, source.num_test > 0
    wanted = train + (0 if own_val else val) + (0 if own_test else test)
    if (
        wanted <= source.num_train
        and (not own_val or val <= source.num_val)
        and (not own_test or test <= source.num_test)
    ):
        return
    sets = [(source.num_train, "training"), (source.num_val, "validation"), (source.num_test, "test")]
    has = " and ".join(f"{count} {name}" for count, name in sets if count) if own_val or own_test else len(source)
    raise ZooError(f"source {source.name!r} has {has} objects: train {train}, val {val} and test {test} ask for more")
