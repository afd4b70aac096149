"""Selecting rows of a split by object: fractions of the labels, numbers of views, and views held out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_number, check_whole
from weightspace.errors import ConfigError


def view_places(objects: Tensor, views: Tensor) -> Tensor:
    """(n,) place of each network among those of its object, by the number of its view, from 0.

    Numbers of views are those of the zoo, which for imported networks are epochs or seeds as often as 0, 1, 2.

    >>> view_places(torch.tensor([7, 7, 3, 7]), torch.tensor([50, 10, 4, 20])).tolist()
    [2, 0, 0, 1]
    """
    order = torch.from_numpy(np.lexsort((views.numpy(), objects.numpy())))
    ordered = objects[order].contiguous()
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order)) - torch.searchsorted(ordered, ordered)
    return places


def limit_views(objects: Tensor, views: Tensor, n_views: int | None) -> Tensor:
    """(n,) mask of the first ``n_views`` networks of each object, by the numbers of their views (None: all).

    Raises:
        ConfigError: more views are asked for than any object has.
    """
    if n_views is None:
        return torch.ones_like(views, dtype=torch.bool)
    places = view_places(objects, views)
    check_whole("n_views (of this zoo's training objects)", n_views, 1, int(places.max()) + 1)
    return places < n_views


def hold_out_view(objects: Tensor, views: Tensor) -> Tensor:
    """(n,) mask of the last view of each object with several, to be held out as the internal test (unseen view).

    Raises:
        ConfigError: each object has only one view.
    """
    places = view_places(objects, views)
    _, own, counts = objects.unique(return_inverse=True, return_counts=True)
    if int(counts.max()) == 1:
        raise ConfigError("internal_test holds out one view per training object, but this zoo has only one")
    return (counts[own] > 1) & (places == counts[own] - 1)


def label_subset(objects: Tensor, classes: Tensor, fraction: float, seed: int) -> Tensor:
    """(n,) mask of the networks of a random subset of the objects, stratified by class.

    Args:
        objects: (n,) object of each network; all networks of an object are in or out. Objects of two classes, which may
            be of two zoos, are two objects, also if their numbers are equal.
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
    kept = torch.zeros_like(objects, dtype=torch.bool)
    for label in classes.unique():
        own = classes == label
        members = objects[own].unique()
        count = round(fraction * len(members))
        if count == 0:
            raise ConfigError(
                f"label_fraction {fraction} leaves class {int(label)} without objects (it has {len(members)})"
            )
        order = torch.from_numpy(generator.permutation(len(members)))
        kept |= own & torch.isin(objects, members[order[:count]])
    return kept


def evenly_spaced(length: int, limit: int) -> Tensor:
    """Up to ``limit`` of the numbers below ``length``, evenly spread, each once.

    >>> evenly_spaced(10, 4).tolist(), evenly_spaced(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return torch.linspace(0, length - 1, min(limit, length)).round().to(torch.int64)
