"""Batches of several zoos in one order: each is of one zoo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from weightspace.batch import WeightBatch
from weightspace.data.sampling import BatchIndex, BatchSampler, ZooDataset


class MixedDataset(Dataset[Any]):
    """Datasets one after another, as ``MixedSampler`` numbers their rows. An item is a batch of one of them.

    Args:
        parts: the datasets.
    """

    def __init__(self, parts: Sequence[ZooDataset]) -> None:
        self.parts = tuple(parts)
        self._ends = torch.tensor([len(part) for part in parts]).cumsum(0)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: BatchIndex) -> WeightBatch | tuple[WeightBatch, ...]:
        """The batch of these rows, all of one dataset, or a pair of batches, see ``ZooDataset``."""
        number, rows = index
        place = int(torch.searchsorted(self._ends, rows.flatten()[:1], right=True))
        return self.parts[place][number, rows - (self._ends[place] - len(self.parts[place]))]


class MixedSampler(BatchSampler):
    """Yields the batches of several samplers in one order, which is another one in each epoch, if it shuffles.

    Each row is in one batch, as those of the samplers are. Order and batches are decided by (seed, epoch) alone, and
    are the same for all processes, so that these are always at batches of the same zoo.

    Args:
        parts: samplers of one seed, rank and world size.
    """

    def __init__(self, parts: Sequence[BatchSampler]) -> None:
        first = parts[0]
        length = sum(part.length for part in parts)
        super().__init__(length, first.batch_size, first.shuffle, first.seed, first.rank, first.world)
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def whole(self) -> int:
        """Rows in each of this process's batches but the last ones of each part."""
        return max(part.whole for part in self.parts)

    def sizes(self, number: int) -> list[int]:
        """Rows of each process in the batch of this number, from 0, in the epoch."""
        place, own = self._order(self.generator())[number].tolist()
        return self.parts[place].sizes(own)

    def __iter__(self) -> Iterator[BatchIndex]:  # type: ignore[override]
        generator = self.generator()
        order, rows, begin = self._order(generator), list[Tensor](), 0
        for part in self.parts:
            rows.append(part.rows_of_epoch(generator) + begin)
            begin += part.num_rows
        for number in range(self.begin, len(order)):
            place, own = order[number].tolist()
            yield number, self.parts[place].share(rows[place], own)

    def _order(self, generator: torch.Generator) -> Tensor:
        """(M, 2) part, and number in it, of each batch of the epoch."""
        batches = [torch.stack([torch.full((len(part),), place), torch.arange(len(part))], dim=1)
                   for place, part in enumerate(self.parts)]  # fmt: skip
        joined = torch.cat(batches)
        return joined[torch.randperm(len(joined), generator=generator)] if self.shuffle else joined
