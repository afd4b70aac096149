"""Which networks are of one object, and in which split they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_number, check_whole, is_whole
from weightspace.errors import ZooError
from weightspace.zoo.header import SPLITS


def numbered_views(objects: Tensor) -> Tensor:
    """(n,) int64: how many networks of the same object come before each.

    >>> numbered_views(torch.tensor([5, 7, 5, 5])).tolist()
    [0, 0, 1, 2]
    """
    order = objects.argsort(stable=True)
    counts = objects[order].unique_consecutive(return_counts=True)[1]
    views = torch.empty_like(objects)
    views[order] = torch.arange(len(objects)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    return views


def drawn_splits(objects: Tensor, val: float, test: float, seed: int) -> Tensor:
    """(n,) uint8 indices into ``SPLITS``: objects for validation and test are drawn, all others are for training.

    Args:
        objects: (n,) object of each network; all networks of an object are in one split.
        val, test: a share below 1 of the objects, or a number of them.
        seed: the same seed draws the same objects.

    Raises:
        ConfigError: a number out of range.
        ZooError: no object is left for training, or a seed without an effect.
    """
    known = objects.unique()
    sizes = [_size(name, value, len(known)) for name, value in (("val", val), ("test", test))]
    check_whole("seed", seed, low=0)
    if seed and not any(sizes):
        raise ZooError(f"seed {seed} has no effect: no validation or test objects are drawn; leave it out")
    if sum(sizes) >= len(known):
        raise ZooError(f"val {val} and test {test} leave none of {len(known)} objects for training")
    order = torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).permutation(len(known)))
    splits = torch.full((len(objects),), SPLITS.index("train"), dtype=torch.uint8)
    for name, part in zip(("val", "test"), known[order].split([*sizes, len(known) - sum(sizes)]), strict=False):
        splits[torch.isin(objects, part)] = SPLITS.index(name)
    return splits


def check_assignment(objects: Tensor, views: Tensor, splits: Tensor, classes: Tensor | None) -> None:
    """Checks that no two networks are of one object and view, and that an object has one split and one class.

    Args:
        objects, views, splits: (n,) of each network; "train" and "internal" may be of one object.
        classes: (n,); None where the targets are numbers, of which each network may have its own.

    Raises:
        ZooError: names the two networks.
    """
    pairs = torch.stack([objects, views], 1).unique(dim=0, return_inverse=True)[1]
    twice = _differing(pairs, torch.arange(len(pairs)))
    if twice is not None:
        first, second = twice
        place = f"object {int(objects[first])}, view {int(views[first])}"
        raise ZooError(f"networks {first} and {second} are both of {place}: number the views, or leave views out")
    seen = torch.where(splits == SPLITS.index("internal"), SPLITS.index("train"), splits)
    for what, values in (("splits", seen), ("classes", classes)):
        if values is not None and (two := _differing(objects, values)) is not None:
            first, second = two
            raise ZooError(
                f"networks {first} and {second} are of object {int(objects[first])}, but of different {what}"
            )


def _size(name: str, value: float, objects: int) -> int:
    if is_whole(value):
        return check_whole(name, value, low=0)
    return round(check_number(name, value, low=0, below=1) * objects)


def _differing(keys: Tensor, values: Tensor) -> tuple[int, int] | None:
    """Two rows with one key and different values, of which the first is the key's first; None if there are none."""
    _, first, inverse = np.unique(keys.numpy(), return_index=True, return_inverse=True)
    firsts = torch.from_numpy(first[inverse])
    rows = (values != values[firsts]).nonzero().flatten()
    return (int(firsts[rows[0]]), int(rows[0])) if len(rows) else None
