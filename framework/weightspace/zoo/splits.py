"""Selecting rows of a split by object: fractions of the labels, numbers of views, and views held out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_number, check_whole
from weightspace.errors import ConfigError


def limit_views(views: Tensor, n_views: int | None) -> Tensor:
    """(n,) mask of the networks whose view number is below ``n_views`` (None: all).

    Raises:
        ConfigError: more views are asked for than there are.
    """
    if n_views is None:
        return torch.ones_like(views, dtype=torch.bool)
    available = int(views.max()) + 1
    check_whole("n_views (of this zoo's training objects)", n_views, 1, available)
    return views < n_views


def hold_out_view(views: Tensor) -> Tensor:
    """(n,) mask of the last view, to be held out as the internal test (seen object, unseen view).

    Raises:
        ConfigError: there is only one view.
    """
    last = int(views.max())
    if last == 0:
        raise ConfigError("internal_test holds out one view per training object, but this zoo has only one")
    return views == last


def label_subset(objects: Tensor, classes: Tensor, fraction: float, seed: int) -> Tensor:
    """(n,) mask of the networks of a random subset of the objects, stratified by class.

    Args:
        objects: (n,) object of each network; all networks of an object are in or out.
        classes: (n,) class of each network.
        fraction: in (0, 1]; each class keeps round(fraction * its objects).
        seed: the same seed draws the same objects.

    Raises:
        ConfigError: a fraction out of range, or one that leaves a class without any object.
    """
    check_number("label_fraction", fraction, above=0, high=1)
    if fraction == 1:
        return torch.ones_like(objects, dtype=torch.bool)
    generator = np.random.Generator(np.random.PCG64(seed))
    kept = []
    for label in classes.unique():
        members = objects[classes == label].unique()
        count = round(fraction * len(members))
        if count == 0:
            raise ConfigError(
                f"label_fraction {fraction} leaves class {int(label)} without objects (it has {len(members)})"
            )
        order = torch.from_numpy(generator.permutation(len(members)))
        kept.append(members[order[:count]])
    return torch.isin(objects, torch.cat(kept))


def evenly_spaced(length: int, limit: int) -> Tensor:
    """Up to ``limit`` of the numbers below ``length``, evenly spread, each once.

    >>> evenly_spaced(10, 4).tolist(), evenly_spaced(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return torch.linspace(0, length - 1, min(limit, length)).round().to(torch.int64)
