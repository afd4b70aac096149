"""Whether the networks of a shard are what a zoo may hold: finite, with labels and splits that exist."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import open_regular
from weightspace.zoo.header import SPLITS, ZooHeader

#: Numbers that are looked at together; they stay in a cache.
CHUNK = 1 << 18


def check_contents(path: Path, tensors: dict[str, Tensor], header: ZooHeader) -> None:
    """Checks all networks of a shard.

    Args:
        path: the shard's file, whose parameters are read piece by piece, so that none of them stays in memory.
        tensors: the same shard, as ``read_shard`` gives it.
        header: of the zoo.

    Raises:
        ZooError: names the first network by its object and view, with what is wrong, and what to do.
    """
    target, split = tensors["target"], tensors["split"]
    if header.class_names is None:
        bad, told = ~target.isfinite().all(1), "has a target that is not finite"
    else:
        bad = (target < 0) | (target >= len(header.class_names))
        told = f"has a label beyond the {len(header.class_names)} classes"
    for rows, reason in (
        (bad, told),
        (split >= len(SPLITS), "is of no known split"),
        ((tensors["object"] < 0) | (tensors["view"] < 0), "has a negative number of object or view"),
    ):
        if rows.any():
            _refuse(path, tensors, int(rows.nonzero()[0]), reason)
    row = _first_not_finite(path, header.spec.num_params)
    if row is not None:
        _refuse(path, tensors, row, "is not finite")


def _refuse(path: Path, tensors: dict[str, Tensor], row: int, reason: str) -> None:
    place = f"object {int(tensors['object'][row])}, view {int(tensors['view'][row])}"
    raise ZooError(
        f"{path}: network {row} ({place}) {reason}; `weightspace zoo repair` makes the networks of such shards again, "
        "or drops them"
    )


def _first_not_finite(path: Path, num_params: int) -> int | None:
    """Row of the first network with a parameter that is not finite."""
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(length))["params"]["data_offsets"]
        file.seek(8 + length + begin)
        total = (end - begin) // 4
        for done in range(0, total, CHUNK):
            numbers = torch.from_numpy(np.fromfile(file, dtype="<f4", count=min(CHUNK, total - done)))
            low, high = numbers.aminmax()
            if not (low.isfinite() and high.isfinite()):
                return (done + int((~numbers.isfinite()).nonzero()[0])) // num_params
    return None
