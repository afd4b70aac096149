"""Checking the content of a shard: finite parameters, labels that are classes, and splits that exist."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import open_regular
from weightspace.zoo.header import FORMAT, SPLITS, ZooHeader

#: Bytes that are looked at together: they stay in a cache between the checksum and the look for what is not finite.
CHUNK = 1 << 18
_ZEROS = np.zeros(CHUNK // 4, dtype=np.float32)


@dataclass(frozen=True)
class Looked:
    """Result of reading a shard's file from end to end.

    Args:
        sha256: digest of the whole file.
        numbers: how many parameters were checked.
        not_finite: index of the first that is not finite; None if all are.
    """

    sha256: str
    numbers: int
    not_finite: int | None


def check_contents(path: Path, tensors: dict[str, Tensor], header: ZooHeader, looked: Looked) -> None:
    """Checks all networks of a shard.

    Args:
        path: the shard's file, for messages.
        tensors: the same shard, as ``read_shard`` gives it.
        header: of the zoo.
        looked: result of ``read_through`` on the file.

    Raises:
        ZooError: names the first invalid network by object and view, what is wrong, and what to do.
    """
    target, split, item, view = (tensors[name].numpy() for name in ("target", "split", "object", "view"))
    if header.class_names is None:
        bad, description = ~np.isfinite(target).all(1), "has a target that is NaN or infinite"
    else:
        bad = (target < 0) | (target >= len(header.class_names))
        description = f"has a label beyond the {len(header.class_names)} classes"
    for rows, reason in (
        (bad, description),
        (split >= len(SPLITS), "is of no known split"),
        ((item < 0) | (view < 0), "has a negative number of object or view"),
    ):
        if rows.any():
            _refuse(path, tensors, int(rows.argmax()), reason, int(rows.sum()))
    if looked.numbers != tensors["params"].numel():
        raise ZooError(f"{path}: its header is not as format {FORMAT} writes it: the parameters cannot be looked at")
    if looked.not_finite is not None:
        count = sum(int((~part.isfinite().all(1)).sum()) for part in tensors["params"].split(1024))
        row = looked.not_finite // header.spec.num_params
        _refuse(path, tensors, row, "has weights that are NaN or infinite", count)


def _refuse(path: Path, tensors: dict[str, Tensor], row: int, reason: str, count: int) -> None:
    place = f"object {int(tensors['object'][row])}, view {int(tensors['view'][row])}"
    others = f" (the first of {count} such networks, of {len(tensors['object'])} in this file)" if count > 1 else ""
    command = shlex.join(["weightspace", "zoo", "repair", str(path.parents[1])])
    raise ZooError(
        f"{path}: network {row} ({place}) {reason}{others}; `{command}` fits the networks of such "
        "files again, and leaves them out with --drop true, which imported networks need"
    )


def read_through(path: Path) -> Looked:
    """Reads a shard's file once in pieces, so that memory stays small.

    Args:
        path: a regular file.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
    done, begin, end, not_finite = 0, 0, 0, None
    with open_regular(path) as buffered, np.errstate(invalid="ignore"):
        file: Any = getattr(buffered, "raw", buffered)  # pieces need no further buffer
        while count := _fill(file, buffer):
            digest.update(buffer[:count])
            if not done:
                begin, end = _params_of(buffer[:count])
            low, high = max(begin, done), min(end, done + count) // 4 * 4
            if low < high and not_finite is None:
                numbers = np.frombuffer(buffer[low - done : high - done], dtype="<f4")
                if math.isnan(numbers @ _ZEROS[: len(numbers)]):  # zero times what is not finite is no number
                    not_finite = (low - begin) // 4 + int((~np.isfinite(numbers)).argmax())
            done += count
    return Looked(digest.hexdigest(), max(0, min(end, done) - begin) // 4, not_finite)


def _fill(file: Any, buffer: memoryview) -> int:
    count = 0
    while count < len(buffer) and (read := file.readinto(buffer[count:])):
        count += read
    return count


def _params_of(start: memoryview) -> tuple[int, int]:
    """Byte range of the parameters, from the file's header; (0, 0) if the header does not give it."""
    length = int.from_bytes(start[:8], "little")
    try:
        begin, end = json.loads(bytes(start[8 : 8 + length]))["params"]["data_offsets"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0, 0
    places = begin, end, 8 + length
    if not all(type(place) is int and place >= 0 and place % 4 == 0 for place in places):
        return 0, 0
    return 8 + length + begin, 8 + length + end
