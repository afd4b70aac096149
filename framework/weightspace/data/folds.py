"""Cross-validation: other splits of a zoo's objects, of which each is tested once."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from weightspace.checks import check_whole
from weightspace.errors import ConfigError
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.strata import dealt

#: One in so many of the objects that are not tested is for validation.
VALIDATION = 8
#: Sources with near-copies whose zoos did not always name them.
_GROUPED = ("furniture",)


def folded(zoo: Zoo, folds: int | None, fold: int | None) -> Zoo:
    """The zoo with its objects split for one fold: those of the fold are for test, the others for training.

    The splits of the zoo do not count. Objects are dealt class by class (with a regression target, at random), all
    networks of an object together, and all near-copies that the zoo names. One in eight of the objects that are not
    tested is for validation, drawn in the same way. The folds are a property of the zoo: no seed of a run changes them.
    They are of the objects that it has: with one object more or fewer, all are dealt anew.

    Args:
        zoo: any.
        folds: number of folds, >= 2; None: the zoo as it is.
        fold: which of them is tested, in 0..folds - 1.

    Raises:
        ConfigError: one is given without the other, or out of range; a class has fewer objects than there are folds; or
            the zoo does not name its near-copies, although its source has some.
    """
    if folds is None and fold is None:
        return zoo
    if folds is None or fold is None:
        given, missing = ("fold", "folds") if folds is None else ("folds", "fold")
        raise ConfigError(f"data.{given} is given without data.{missing}: give both, for instance folds: 5 and fold: 0")
    check_whole("data.folds", folds, low=2)
    check_whole("data.fold", fold, 0, folds - 1)
    _check_named(zoo)
    objects, places = zoo.objects.unique(return_inverse=True)
    groups, strata = _groups(zoo, objects.numpy()), _strata(zoo, places.numpy(), len(objects))
    _check_classes(zoo, groups, strata, folds)
    tested = dealt(groups, strata, folds, _generator(0)) == fold
    splits = np.full(len(objects), SPLITS.index("test"), dtype=np.uint8)
    parts = dealt(groups[~tested], strata[~tested], VALIDATION, _generator(1 + fold))
    splits[~tested] = np.where(parts == 0, SPLITS.index("val"), SPLITS.index("train"))
    return zoo.divided_into(torch.from_numpy(splits)[places], (fold, folds))


def dealt_objects(zoo: Zoo) -> str:
    """sha256 of the numbers of the zoo's objects, of which one more or fewer makes other folds."""
    return hashlib.sha256(zoo.objects.unique().numpy().tobytes()).hexdigest()


def check_views(zoo: Zoo, n_views: int | None) -> None:
    """Checks that all objects of a fold can be trained on in as many views as the zoo was asked for.

    Args:
        zoo: with the splits of a fold.
        n_views: views of each object that are used; None: all.

    Raises:
        ConfigError: the zoo's own splits have other numbers of views, and more than the least of them is used.
    """
    own = zoo.divided_into(None)
    views = {
        name: int(own.objects[rows].unique(return_counts=True)[1].max())
        for name in SPLITS
        if len(rows := own.rows(name))
    }
    least = min(views.values())
    if max(views.values()) > least and (n_views is None or n_views > least):
        found = ", ".join(f"{name} {count}" for name, count in views.items())
        raise ConfigError(
            f"data.folds: folds mix the splits of {zoo.path}, which have other numbers of views ({found}), so that "
            f"some objects would be trained on more often than others: take data.n_views: {least}, or fit the zoo with "
            "as many --eval_views as --views"
        )


def _generator(stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(stream))


def _check_named(zoo: Zoo) -> None:
    made = zoo.header.provenance
    name = made.get("source", {}).get("name")
    if name in _GROUPED and "near_copies" not in made:
        raise ConfigError(
            f"data.folds: objects of {name} have near-copies, which belong into one fold, and {zoo.path} does not name "
            "them, since an earlier version has made it: make it again by its command (weightspace zoo fit)"
        )


def _groups(zoo: Zoo, objects: np.ndarray) -> np.ndarray:
    """(n,) group of each object: its own number, or that of the first of its near-copies."""
    first = {item: group[0] for group in zoo.near_copies for item in group}
    return np.array([first.get(item, item) for item in objects.tolist()], dtype=np.int64)


def _strata(zoo: Zoo, places: np.ndarray, count: int) -> np.ndarray:
    """(count,) class of each object, or zeros."""
    strata = np.zeros(count, dtype=np.int64)
    if zoo.class_names is not None:
        strata[places] = zoo.targets.numpy()
    return strata


def _check_classes(zoo: Zoo, groups: np.ndarray, strata: np.ndarray, folds: int) -> None:
    counts = np.bincount(strata[np.unique(groups, return_index=True)[1]])
    few = np.flatnonzero((counts > 0) & (counts < folds))
    if len(few):
        what = f" of class {zoo.class_names[few[0]]!r}" if zoo.class_names else ""
        raise ConfigError(
            f"data.folds {folds}: {zoo.path} has {counts[few[0]]} objects{what}, fewer than folds, where near-copies "
            "count as one: take fewer folds"
        )
