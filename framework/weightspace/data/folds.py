"""Cross-validation: other splits of a zoo's objects, of which each is tested once."""

from __future__ import annotations

import numpy as np
import torch

from weightspace.checks import check_whole
from weightspace.errors import ConfigError
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.strata import dealt

#: One in so many of the objects that are not tested is for validation.
VALIDATION = 8


def folded(zoo: Zoo, folds: int | None, fold: int | None) -> Zoo:
    """The zoo with its objects split for one fold: those of the fold are for test, the others for training.

    The splits of the zoo do not count. Objects are dealt class by class (with a regression target, at random), all
    networks of an object together, and all near-copies that the zoo names. One in eight of the objects that are not
    tested is for validation, drawn in the same way. The folds are a property of the zoo: no seed of a run changes them.

    Args:
        zoo: any.
        folds: number of folds, >= 2; None: the zoo as it is.
        fold: which of them is tested, in 0..folds - 1.

    Raises:
        ConfigError: one is given without the other, or out of range; or a class has fewer objects than there are folds.
    """
    if folds is None and fold is None:
        return zoo
    if folds is None or fold is None:
        given, missing = ("fold", "folds") if folds is None else ("folds", "fold")
        raise ConfigError(f"data.{given} is given without data.{missing}: give both, for instance folds: 5 and fold: 0")
    check_whole("data.folds", folds, low=2)
    check_whole("data.fold", fold, 0, folds - 1)
    objects, places = zoo.objects.unique(return_inverse=True)
    groups, strata = _groups(zoo, objects.numpy()), _strata(zoo, places.numpy(), len(objects))
    _check_classes(zoo, groups, strata, folds)
    tested = dealt(groups, strata, folds, _generator(0)) == fold
    splits = np.full(len(objects), SPLITS.index("test"), dtype=np.uint8)
    parts = dealt(groups[~tested], strata[~tested], VALIDATION, _generator(1 + fold))
    splits[~tested] = np.where(parts == 0, SPLITS.index("val"), SPLITS.index("train"))
    return zoo.divided_into(torch.from_numpy(splits)[places])


def _generator(stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(stream))


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
