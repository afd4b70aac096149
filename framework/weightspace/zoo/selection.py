"""Choosing networks of a zoo by number: ``zoo[5]``, ``zoo[:10]``, ``zoo["train"][[1, 2]]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.batch import WeightBatch

#: A number (negative: from the end), a slice, numbers, or a mask with one entry per network.
Index = int | slice | Sequence[int] | Sequence[bool] | Tensor | np.ndarray


def positions(index: Index, count: int, where: str) -> Tensor:
    """(n,) int64 numbers, among ``count``, of what an index means; in the order in which it names them.

    Args:
        index: see ``Index``.
        count: how many networks there are.
        where: what messages call them, for instance the zoo's path.

    Raises:
        IndexError: a number that there is not, or a mask of another length.
        TypeError: something that is no index.

    >>> positions(-1, 5, "zoo").tolist(), positions(slice(1, 3), 5, "zoo").tolist()
    ([4], [1, 2])
    >>> positions([True, False, True], 3, "zoo").tolist()
    [0, 2]
    """
    if isinstance(index, slice):
        return torch.from_numpy(np.arange(count)[index].copy())  # numpy's steps may be negative
    everything = torch.arange(count)
    numbers = _numbers(index)
    if numbers.dtype == torch.bool:
        if tuple(numbers.shape) != (count,):
            raise IndexError(f"{where}: a mask must have {count} entries, found the shape {tuple(numbers.shape)}")
        return everything[numbers]
    if numbers.numel() and not -count <= int(numbers.min()) <= int(numbers.max()) < count:
        asked = f"{int(numbers.min())}..{int(numbers.max())}" if numbers.ndim else int(numbers)
        raise IndexError(f"{where} has networks 0..{count - 1}, asked for {asked}")
    return everything[numbers.reshape(-1)]


def _numbers(index: Any) -> Tensor:
    """Whole numbers or truth values as a tensor of at most one dimension."""
    try:
        numbers = torch.as_tensor(index, device="cpu")
    except (RuntimeError, TypeError, ValueError):
        numbers = torch.zeros(1)
    if not numbers.numel() and numbers.ndim == 1:
        return numbers.to(torch.int64)
    if numbers.ndim > 1 or numbers.is_floating_point() or numbers.is_complex():
        raise TypeError(
            "networks are chosen by a number, a slice, a list or tensor of whole numbers, or a mask; or by the name of "
            f"a split, found {index!r:.200}"
        )
    return numbers if numbers.dtype == torch.bool else numbers.to(torch.int64)


@dataclass(frozen=True)
class Split:
    """The networks of one split: ``split[:8]`` is the batch of its first eight.

    Args:
        name: of the split.
        where: path of the zoo, for messages.
        rows: (n,) int64 numbers of its networks in the zoo.
        read: gives the batch of some rows of the zoo.
    """

    name: str
    where: str
    rows: Tensor = field(repr=False)
    read: Callable[[Tensor], WeightBatch] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> WeightBatch:
        """The batch of some of its networks, numbered from 0 within the split.

        Raises:
            IndexError: a number that the split does not have.
        """
        return self.read(self.rows[positions(index, len(self), f"split {self.name!r} of {self.where}")])

    def __repr__(self) -> str:
        return f"Split {self.name!r} of {self.where}: {len(self)} networks"
