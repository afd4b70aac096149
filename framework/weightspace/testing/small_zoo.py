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
from weightspace.zoo import ZooWriter
from weightspace.zoo.header import SPLITS, ZooHeader

#: Objects of each split; those of training have two views.
OBJECTS = {"train": 16, "val": 8, "test": 8}
SPEC = NetworkSpec((2, 6, 1), "sine", 6.0, 0.5)
CLASSES = ("often", "seldom", "rare")


@cache
def small_zoo(kind: Literal["class", "value"]) -> Path:
    """The folder of a zoo of random networks, which is removed when the process ends; the same for every call.

    Args:
        kind: of the target: three classes of unequal sizes, or two numbers.
    """
    folder = Path(tempfile.mkdtemp(prefix="weightspace-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    columns = _rows()
    generator = torch.Generator().manual_seed(0)
    if kind == "class":
        target = {"kind": kind, "names": list(CLASSES)}
        columns["target"] = torch.tensor([0, 0, 1, 0, 2, 0, 1, 0])[columns["object"] % 8]
    else:
        target = {"kind": kind, "names": ["first", "second"]}
        columns["target"] = torch.randn(len(columns["object"]), 2, generator=generator)
    rows = len(columns["object"])
    columns["params"] = torch.randn(rows, SPEC.num_params, generator=generator) / 2
    columns["quality"] = torch.zeros(rows, 0)
    with ZooWriter(folder / kind, {}, ZooHeader(SPEC, target, [], {}, [])) as writer:
        writer.write(columns, [])
        writer.finish()
    return folder / kind


def _rows() -> dict[str, Tensor]:
    """Object, view and split of every network, all views of an object together."""
    rows: list[tuple[int, int, int]] = []
    first = 0
    for split, count in OBJECTS.items():
        views = range(2 if split == "train" else 1)
        rows += [(item, view, SPLITS.index(split)) for item in range(first, first + count) for view in views]
        first += count
    columns = torch.tensor(rows).T
    return {"object": columns[0], "view": columns[1], "split": columns[2].to(torch.uint8)}
