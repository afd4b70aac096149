"""The files of a stored alignment: elements of the networks of one shard, and the network that is the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import read_regular
from weightspace.files.sealed import DIGEST, UnsealedError, seal, unseal
from weightspace.spec import NetworkSpec
from weightspace.symmetry.packed import PARTS, part_names
from weightspace.zoo.header import ShardEntry

#: Largest file in bytes.
LIMIT = 2**33
#: Name of the symmetry behind each part.
SYMMETRIES = dict(zip(PARTS, ("permutation", "sign", "phase", "scale"), strict=True))


def to_bytes(packed: Tensor, distance: Tensor, spec: NetworkSpec) -> bytes:
    """A file with the elements of n networks, each part in the smallest type that holds it exactly.

    Args:
        packed: (n, F) int32 of ``pack_element``.
        distance: (n, 2) float32 squared distances to the reference, before and after the networks were aligned.
        spec: architecture of the networks.
    """
    tensors = {"distance": distance.to(torch.float32)}
    for name, columns in zip(part_names(spec), packed.split(sum(spec.widths[1:-1]), dim=1), strict=False):
        tensors[name] = _smallest(name, columns.contiguous())
    return seal(tensors, {})


def _smallest(name: str, columns: Tensor) -> Tensor:
    if name == "scales":
        return columns.view(torch.float32)
    if name == "signs":
        return columns.to(torch.int8)
    largest = int(columns.abs().max()) if columns.numel() else 0
    return columns.to(torch.int16 if largest < 2**15 else torch.int32)


def from_tensors(tensors: Mapping[str, Tensor], spec: NetworkSpec, group: list[str], path: Path) -> Tensor:
    """(n, F) int32 of ``pack_element``, after checks of all elements.

    Raises:
        ZooError: parts are missing, of another type or shape, or are no elements of the group.
    """
    names = [name for name in part_names(spec) if SYMMETRIES[name] in group]
    if set(tensors) != {"distance", *names}:
        raise ZooError(f"{path}: expected the tensors {sorted(['distance', *names])}, found {sorted(tensors)}")
    rows, hidden, columns = len(tensors["distance"]), sum(spec.widths[1:-1]), []
    for name in names:
        part = tensors[name]
        kinds = (torch.float32,) if name == "scales" else (torch.int8, torch.int16, torch.int32)
        if part.dtype not in kinds or tuple(part.shape) != (rows, hidden):
            raise ZooError(f"{path}: {name} should be {(rows, hidden)}, found {part.dtype} {tuple(part.shape)}")
        if not _is_valid(name, part, spec):
            raise ZooError(f"{path}: {name} holds what is no {SYMMETRIES[name]} of the hidden neurons")
        columns.append(part.view(torch.int32) if name == "scales" else part.to(torch.int32))
    return torch.cat(columns, dim=1)


def _is_valid(name: str, part: Tensor, spec: NetworkSpec) -> bool:
    if name == "orders":
        layers = part.long().split(spec.widths[1:-1], dim=1)
        return all(torch.equal(o.sort(1).values, torch.arange(o.shape[1]).expand_as(o)) for o in layers)
    if name == "signs":
        return bool((part.abs() == 1).all())
    return name != "scales" or bool((part.isfinite() & (part > 0)).all())


def read_part(path: Path, entry: ShardEntry | None = None) -> dict[str, Tensor]:
    """The tensors of a sealed file.

    Args:
        path: the file.
        entry: what ``alignment.json`` says of it; None: only its own digest is compared.

    Raises:
        ZooError: the file is missing, damaged, or not the listed one.
    """
    try:
        content = read_regular(path, LIMIT)
    except OSError as error:
        raise ZooError(f"{path} cannot be read: {error.strerror or error}") from error
    if entry is not None:
        check_content(path, content, entry.bytes, entry.sha256)
    try:
        tensors, texts = unseal(content)
    except UnsealedError as error:
        raise ZooError(f"{path} is damaged: {error}") from error
    if DIGEST not in texts:
        raise ZooError(f"{path} is damaged: it has no digest")
    return tensors


def check_content(path: Path, content: bytes, size: int | None, sha256: str) -> None:
    """Raises ZooError if a file's content is not the listed one."""
    if size is not None and len(content) != size:
        raise ZooError(f"{path} is truncated or foreign: expected {size} bytes, found {len(content)}")
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ZooError(f"{path} was altered: expected sha256 {sha256}, found {found}")
