"""A split as a plain torch Dataset, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

#: Parameters (P,) of a network, and its target: a class () int64, or numbers (T,) float32.
Example = tuple[Tensor, Tensor]


class Examples(Dataset[Example]):
    """Networks as (parameters, target), which any ``DataLoader`` batches.

    Args:
        rows: (n,) int64 numbers of the networks in their zoo.
        targets: (n,) int64 classes, or (n, T) float32.
        read: gives the parameters (len(rows), P) of some rows; a batch is read at once.
    """

    def __init__(self, rows: Tensor, targets: Tensor, read: Callable[[Tensor], Tensor]) -> None:
        self.rows, self.targets, self.read = rows, targets, read

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} networks, asked for number {index}")
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Example]:
        """Those of a batch, as ``DataLoader`` asks for them."""
        chosen = torch.as_tensor(indices)
        return list(zip(self.read(self.rows[chosen]), self.targets[chosen], strict=True))

    def __repr__(self) -> str:
        return f"Examples({len(self)} networks: parameters and target)"
