"""Which objects of a source are drawn for training, validation and test."""

from __future__ import annotations

import numpy as np

from weightspace.errors import ZooError
from weightspace.sources.base import Objects, Source
from weightspace.zoo.strata import divided

#: Numbers of objects for training, validation and test.
Sizes = tuple[int, int, int]


def drawn(source: Objects, sizes: Sizes, seed: int) -> list[np.ndarray]:
    """Numbers of the objects of each split, in the order in which they are drawn.

    Validation and test objects come from the source's own sets where it has them, else from the training pool. Where
    the source has groups of near-copies, each is in one split; there, and where the source says that it is stratified,
    classes have the same share of all splits.

    Raises:
        ZooError: the source has too few objects, or groups that cannot be divided so.
    """
    _check_sizes(source, sizes)
    train, val, test = sizes
    own_val, own_test = source.num_val > 0, source.num_test > 0
    generator = np.random.Generator(np.random.PCG64(seed))
    if source.groups is None and not source.stratified:
        first, rest = np.split(generator.permutation(source.num_train), [train])
        pools = [first, rest[:val], rest if own_val else rest[val:]]
    else:
        shares = (train, 0 if own_val else val, 0 if own_test else test)
        groups = np.arange(len(source)) if source.groups is None else source.groups
        pools = divided(groups[: source.num_train], _strata(source), shares, generator)
    tests = generator.permutation(source.num_test) + source.num_train + source.num_val
    vals = generator.permutation(source.num_val) + source.num_train
    return [pools[0], (vals if own_val else pools[1])[:val], (tests if own_test else pools[2])[:test]]


def near_copies(groups: np.ndarray, objects: np.ndarray) -> list[list[int]]:
    """Those of some objects that are near-copies of one another, group by group.

    Args:
        groups: (n,) group of each object of the source.
        objects: (m,) different numbers of objects.

    >>> near_copies(np.array([5, 7, 5, 7, 9]), np.array([0, 1, 2, 4]))
    [[0, 2]]
    """
    _, inverse, counts = np.unique(groups[objects], return_inverse=True, return_counts=True)
    return [sorted(objects[inverse == group].tolist()) for group in np.flatnonzero(counts > 1)]


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
