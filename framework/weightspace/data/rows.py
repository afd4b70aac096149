"""Rows of a zoo: those to train on, those of the internal test, and those of given views of objects."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weightspace.errors import ConfigError
from weightspace.zoo import Zoo
from weightspace.zoo.splits import hold_out_view, label_subset, limit_views


def training_rows(
    zoo: Zoo,
    n_views: int | None,
    label_fraction: float,
    internal_test: bool,
    seed: int,
    together: Sequence[Zoo] = (),
) -> tuple[Tensor, Tensor]:
    """Rows of the training networks, and of the internal test: unseen views of the training objects.

    Args:
        zoo: with training networks.
        n_views: views of each object to train on, the first by their numbers; None: all.
        label_fraction: part of the training objects to use, in (0, 1], drawn class by class.
        internal_test: whether there is an internal test; without a split of its own it takes each object's last view.
        seed: seed of the label subset, >= 0.
        together: all zoos that are trained on, if there are several: labels are drawn of the objects that any has, so
            that they are of the same objects in each.

    Returns:
        (n,) and (m,) int64 row numbers; m is 0 without an internal test.

    Raises:
        ConfigError: there are no training networks, or the views or labels cannot be limited in this way.
    """
    rows, internal = zoo.rows("train"), zoo.rows("internal")
    if not len(rows):
        raise ConfigError(f"{zoo.path} has no training networks")
    if internal_test and not len(internal):
        held = hold_out_view(zoo.objects[rows], zoo.views[rows])
        rows, internal = rows[~held], rows[held]
    rows = rows[limit_views(zoo.objects[rows], zoo.views[rows], n_views)]
    if label_fraction != 1:
        if zoo.class_names is None:
            raise ConfigError("data.label_fraction needs a zoo with classes; this one has a regression target")
        every = [(one, one.rows("train")) for one in together or (zoo,)]
        objects = torch.cat([one.objects[own] for one, own in every])
        classes = torch.cat([one.targets[own] for one, own in every])
        kept = label_subset(objects, classes, label_fraction, seed).split([len(own) for _, own in every])
        drawn = next(own[mask] for (one, own), mask in zip(every, kept, strict=True) if one is zoo)
        rows = rows[torch.isin(rows, drawn)]
    # the internal test has seen objects only: none whose labels or other views are unused
    seen = torch.isin(zoo.objects[internal], zoo.objects[rows])
    return rows, internal[seen] if internal_test else internal[:0]


def rows_of(zoo: Zoo, objects: Tensor, views: Tensor) -> Tensor:
    """(n,) rows of the given views of the given objects.

    Args:
        zoo: the zoo.
        objects, views: (n,) numbers, one pair for each row.

    Raises:
        ConfigError: the zoo does not contain one of them.
    """
    known = torch.stack([zoo.objects, zoo.views], dim=1)
    asked = torch.stack([objects, views], dim=1).to(known)
    _, keys = torch.cat([known, asked]).unique(dim=0, return_inverse=True)
    place = torch.full((int(keys.max()) + 1,), -1)
    place[keys[: len(known)]] = torch.arange(len(known))
    rows = place[keys[len(known) :]]
    if (rows < 0).any():
        item, view = asked[(rows < 0).nonzero()[0, 0]].tolist()
        raise ConfigError(f"{zoo.path} has no view {view} of an object {item}")
    return rows
