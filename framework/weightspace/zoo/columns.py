"""Tensors, arrays and lists of users as the columns of a zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.errors import SpecError, ZooError, closest
from weightspace.files.names import in_order, split_called
from weightspace.spec import NetworkSpec
from weightspace.zoo.header import SPLITS


def vectors(params: Any, spec: NetworkSpec) -> Tensor:
    """(n, P) float32 flat vectors.

    Args:
        params: (n, P) real numbers, or n state_dicts with alternating weights and biases.
        spec: their architecture.

    Raises:
        SpecError: a state_dict that does not fit the architecture; the message has its place.
        ZooError: another shape, no real numbers, none at all, or networks that are not finite.
    """
    if isinstance(params, Sequence) and len(params) and all(isinstance(entry, Mapping) for entry in params):
        params = torch.stack([_packed(number, network, spec) for number, network in enumerate(params)])
    found = _tensor("params", params)
    expected = f"(n, {spec.num_params}) real numbers for {spec}, or a list of state_dicts"
    if found.ndim != 2 or found.shape[1] != spec.num_params or not len(found) or not found.is_floating_point():
        raise ZooError(f"params: expected {expected}, found {_described(found)}")
    return _finite("params", found.to(torch.float32))


def reals(name: str, values: Any, shape: tuple[int, ...]) -> Tensor:
    """A column of finite float32.

    Raises:
        ZooError: another shape, or what is no finite number.
    """
    found = _tensor(name, values)
    if tuple(found.shape) != shape or found.is_complex() or found.dtype == torch.bool:
        raise ZooError(f"{name}: expected {shape} real numbers, found {_described(found)}")
    return _finite(name, found.to(torch.float32))


def numbers(name: str, values: Any, count: int) -> Tensor:
    """(count,) int64 of whole numbers >= 0.

    Raises:
        ZooError: another shape, or other numbers.
    """
    found = _tensor(name, values)
    if tuple(found.shape) != (count,) or not _is_whole(found):
        raise ZooError(f"{name}: expected ({count},) whole numbers, one for each network, found {_described(found)}")
    if (found < 0).any():
        raise ZooError(f"{name} must be at least 0, found {int(found.min())} for network {int(found.argmin())}")
    return found.to(torch.int64)


def targets(values: Any, names: Sequence[str] | None, count: int) -> tuple[Tensor, dict[str, Any]]:
    """A zoo's column of targets, and what its header says of it.

    Args:
        values: (count,) whole numbers or names, which are classes, or (count,) or (count, T) real numbers.
        names: of the classes, or of the T numbers; None: their places.
        count: how many networks there are.

    Raises:
        ZooError: no targets, another shape, a class without a name, or names that do not differ.
    """
    if values is None:
        raise ZooError(
            "targets are missing: give a class (whole number) or value (real number) for each network; for networks "
            "without labels, targets=[0] * n, names=['none']"
        )
    values, names = _numbered(values, _checked_names(names))
    found = _tensor("targets", values)
    if _is_whole(found):
        classes = numbers("targets", found, count)
        called = [str(number) for number in range(int(classes.max()) + 1)] if names is None else list(names)
        if len(called) <= classes.max():
            raise ZooError(f"targets: class {int(classes.max())} has no name, names has {len(called)}")
        return classes, _meaning("class", called)
    columns = found.unsqueeze(1) if found.ndim == 1 else found
    width = columns.shape[1] if columns.ndim == 2 else 1
    default = ["target"] if width == 1 else [f"target_{number}" for number in range(1, width + 1)]
    called = default if names is None else list(names)
    return reals("targets", columns, (count, len(called))), _meaning("value", called)


def _checked_names(names: Any) -> list[str] | None:
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise ZooError(f"names: expected a list of texts, found {type(names).__name__}")
    return None if names is None else list(names)


def _numbered(values: Any, names: list[str] | None) -> tuple[Any, list[str] | None]:
    """Numbers in the place of names of classes, which are in natural order unless an order is given."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "UO":
        values = values.tolist()
    if not isinstance(values, Sequence) or not values or not all(isinstance(value, str) for value in values):
        return values, names
    known = list(in_order(values)) if names is None else names
    if unknown := [value for value in values if value not in known]:
        raise ZooError(f"targets: class {unknown[0]!r} is not among names: {closest(unknown[0], known)}")
    return [known.index(value) for value in values], known


def splits(values: Any, count: int) -> Tensor:
    """(count,) uint8 indices into ``SPLITS``.

    Args:
        values: names of splits, or these indices.
        count: how many networks there are.

    Raises:
        ZooError: another number of them, or no splits.
    """
    entries = values.tolist() if isinstance(values, (Tensor, np.ndarray)) else list(values)
    called = [split_called(entry) if isinstance(entry, str) else entry for entry in entries]
    if len(called) != count:
        raise ZooError(f"splits: expected {count}, one for each network, found {len(called)}")
    for row, (entry, name) in enumerate(zip(entries, called, strict=True)):
        if name not in SPLITS and not (type(name) is int and 0 <= name < len(SPLITS)):
            raise ZooError(f"splits: expected one of {', '.join(SPLITS)}, found {entry!r} for network {row}")
    return torch.tensor([SPLITS.index(n) if isinstance(n, str) else n for n in called], dtype=torch.uint8)


def _packed(number: int, network: Mapping[str, Tensor], spec: NetworkSpec) -> Tensor:
    try:
        return spec.pack(network)
    except SpecError as error:
        raise SpecError(f"params: network {number}: {error}") from error


def _tensor(name: str, values: Any) -> Tensor:
    try:
        found = torch.as_tensor(values).detach().cpu()
        # torch compares no others of these
        return found.to(torch.int64) if found.dtype in (torch.uint16, torch.uint32, torch.uint64) else found
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ZooError(f"{name}: expected numbers, found {type(values).__name__} ({error})") from error


def _finite(name: str, column: Tensor) -> Tensor:
    bad = ~column.isfinite().reshape(len(column), -1).all(1)
    if bad.any():
        raise ZooError(
            f"{name}: {int(bad.sum())} of {len(bad)} networks have numbers that are not finite (NaN, infinite, or too "
            f"large for float32), first network {int(bad.int().argmax())}: leave them out, or mend them"
        )
    return column


def _is_whole(values: Tensor) -> bool:
    return not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)


def _described(values: Tensor) -> str:
    return f"{tuple(values.shape)} of {str(values.dtype).removeprefix('torch.')}"


def _meaning(kind: str, names: list[str]) -> dict[str, Any]:
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise ZooError(f"names: expected different texts, at least one, found {str(names)[:100]}")
    return {"kind": kind, "names": names}
