"""Shards: safetensors files that hold some rows of a zoo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.spec import NetworkSpec
from weightspace.zoo.contents import check_contents, read_through
from weightspace.zoo.header import ShardEntry, ZooHeader

#: Bytes of parameters in a shard, about, where the job itself sets no number of networks.
SHARD_BYTES = 16_000_000


def rows_per_shard(spec: NetworkSpec) -> int:
    """Networks in a shard of about ``SHARD_BYTES``: what a cut can lose, and what is in memory at once."""
    return min(4096, max(64, SHARD_BYTES // (4 * spec.num_params)))


def write_shard(folder: Path, index: int, tensors: dict[str, Tensor]) -> ShardEntry:
    """Writes ``shards/<index>.safetensors`` atomically."""
    name = f"{index:05d}.safetensors"
    content = safetensors.torch.save({key: tensor.contiguous() for key, tensor in tensors.items()})
    write_whole(folder / "shards" / name, content)
    return ShardEntry(name, len(tensors["params"]), len(content), hashlib.sha256(content).hexdigest())


def read_shard(folder: Path, entry: ShardEntry, header: ZooHeader) -> dict[str, Tensor]:
    """Memory-maps a shard; its columns are read when they are used.

    Raises:
        ZooError: the file is missing, truncated, or not what ``zoo.json`` says; the message names it.
    """
    path = folder / "shards" / entry.file
    check_size(path, entry)
    expected = columns(header, entry.rows)
    with _named(path), safetensors.safe_open(path, framework="pt") as file:
        names = set(file.keys())
        if names != set(expected):
            raise ZooError(f"{path}: expected the tensors {sorted(expected)}, found {sorted(names)}")
        tensors = {name: file.get_tensor(name) for name in expected}
    for name, (dtype, shape) in expected.items():
        found = tensors[name]
        if found.dtype != dtype or tuple(found.shape) != shape:
            raise ZooError(f"{path}: {name} should be {dtype} {shape}, found {found.dtype} {tuple(found.shape)}")
    return tensors


def check_size(path: Path, entry: ShardEntry) -> None:
    """Raises ZooError if the file is missing or its size differs from the listed one."""
    if not path.is_file():
        raise ZooError(f"{path} is missing: zoo.json lists it with {entry.rows} networks")
    size = path.stat().st_size
    if size != entry.bytes:
        raise ZooError(f"{path} is truncated or foreign: expected {entry.bytes} bytes, found {size}")


def check_sum(path: Path, entry: ShardEntry) -> None:
    """Raises ZooError if the file's sha256 differs from the listed one."""
    with path.open("rb") as file:
        _compare(path, entry, hashlib.file_digest(file, "sha256").hexdigest())


def _compare(path: Path, entry: ShardEntry, found: str) -> None:
    if found != entry.sha256:
        raise ZooError(f"{path} was altered: expected sha256 {entry.sha256}, found {found}")


def check_shard(folder: Path, entry: ShardEntry, header: ZooHeader) -> dict[str, Tensor]:
    """As ``read_shard``, after checking size, checksum and content.

    Raises:
        ZooError: the file is missing, not the listed one, or holds networks that a zoo may not hold.
    """
    path = folder / "shards" / entry.file
    check_size(path, entry)
    looked = read_through(path)
    _compare(path, entry, looked.sha256)
    tensors = read_shard(folder, entry, header)
    check_contents(path, tensors, header, looked)
    return tensors


#: Shards that this process has checked, with what was expected of them.
_CHECKED: set[tuple[object, ...]] = set()


def open_shard(folder: Path, entry: ShardEntry, header: ZooHeader) -> dict[str, Tensor]:
    """As ``check_shard``, but each file is checked only once per process, unless it has been written since."""
    path = folder / "shards" / entry.file
    check_size(path, entry)
    expected = (header.spec.num_params, len(header.quality), header.target["kind"], len(header.target["names"]))
    key = (path.resolve(), path.stat().st_mtime_ns, entry, expected)
    if key in _CHECKED:
        return read_shard(folder, entry, header)
    tensors = check_shard(folder, entry, header)
    _CHECKED.add(key)
    return tensors


def columns(header: ZooHeader, rows: int) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """dtype and shape of every tensor in a shard with this many rows."""
    names = header.target["names"]
    is_class = header.target["kind"] == "class"
    return {
        "params": (torch.float32, (rows, header.spec.num_params)),
        "target": (torch.int64, (rows,)) if is_class else (torch.float32, (rows, len(names))),
        "object": (torch.int64, (rows,)),
        "view": (torch.int64, (rows,)),
        "split": (torch.uint8, (rows,)),
        "quality": (torch.float32, (rows, len(header.quality))),
    }


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, OSError) as error:
        raise ZooError(f"{path} is not a readable safetensors file: {error}") from error
