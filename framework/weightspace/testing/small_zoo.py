"""A small zoo on which tasks are checked."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from weightspace.spec import NetworkSpec
from weightspace.zoo import write_zoo
from weightspace.zoo.header import SPLITS

#: Objects of each split; those of training have two views.
OBJECTS = {"train": 16, "val": 8, "test": 8}
SPEC = NetworkSpec((2, 6, 1), "sine", 6.0, 0.5)
CLASSES: tuple[str, ...] = ("often", "seldom", "rare")


@cache
def small_zoo(kind: Literal["class", "value"]) -> Path:
    """The folder of a zoo of random networks, which is removed when the process ends; the same for every call.

    Args:
        kind: of the target: three classes of unequal sizes, or two numbers.
    """
    folder = Path(tempfile.mkdtemp(prefix="weightspace-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    objects, views, splits = _rows()
    generator = torch.Generator().manual_seed(0)
    targets, names = torch.tensor([0, 0, 1, 0, 2, 0, 1, 0])[objects % 8], CLASSES
    if kind == "value":
        targets, names = torch.randn(len(targets), 2, generator=generator), ("first", "second")
    params = torch.randn(len(targets), SPEC.num_params, generator=generator) / 2
    write_zoo(folder / kind, params, SPEC, targets=targets, names=names, objects=objects, views=views, splits=splits)
    return folder / kind


def _rows() -> Tensor:
    """(3, n) object, view and split of every network, all views of an object together."""
    rows: list[tuple[int, int, int]] = []
    first = 0
    for split, count in OBJECTS.items():
        views = range(2 if split == "train" else 1)
        rows += [(item, view, SPLITS.index(split)) for item in range(first, first + count) for view in views]
        first += count
    return torch.tensor(rows).T
