"""Which networks are in which batch, in one process or several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler, SequentialSampler

from weightspace.batch import WeightBatch
from weightspace.zoo import Zoo

#: (number of the batch in its epoch, (B,) rows or (B, 2) rows of pairs)
BatchIndex = tuple[int, Tensor]

#: What makes the pairs of contrastive training, see ``PairSampler``.
POSITIVES = ("augment", "views", "both")


class ZooDataset(Dataset[Any]):
    """Chosen rows of a zoo. An item is a whole batch: one gather, no per-network work.

    Args:
        zoo: where the networks are.
        rows: which of them.
        in_memory: copy their parameters to memory; else each batch is read from the shards' pages, which the
            operating system keeps as long as there is room, once for all processes.
        numbers: (K,) int64 number to serve for each of the zoo's classes; None: that of the zoo.
        num_classes: how many classes the numbers are of; None: those of the zoo.
    """

    def __init__(
        self,
        zoo: Zoo,
        rows: Tensor,
        in_memory: bool = True,
        numbers: Tensor | None = None,
        num_classes: int | None = None,
    ) -> None:
        self.spec, self.num_classes = zoo.spec, num_classes or (len(zoo.class_names) if zoo.class_names else None)
        self.zoo, self.rows = zoo, rows
        self.params = zoo.params(rows) if in_memory else None
        self.targets = zoo.targets[rows] if numbers is None else numbers[zoo.targets[rows]]
        self.identities = torch.stack([zoo.objects[rows], zoo.views[rows]], dim=1)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: BatchIndex) -> WeightBatch | tuple[WeightBatch, ...]:
        """The batch of these rows, or two, whose networks are pairs."""
        number, rows = index
        if rows.ndim == 2:
            return tuple(self._batch(number, column) for column in rows.unbind(1))
        return self._batch(number, rows)

    def _batch(self, number: int, rows: Tensor) -> WeightBatch:
        objects, views = self.identities.index_select(0, rows).unbind(1)
        targets = self.targets.index_select(0, rows)
        params = self.zoo.params(self.rows[rows]) if self.params is None else self.params.index_select(0, rows)
        return WeightBatch(params, self.spec, targets, objects, views, self.num_classes, number)


class BatchSampler(DistributedSampler[Any], SequentialSampler):
    """Yields a process's share of the rows in numbered batches; every batch knows its number.

    Lightning exchanges a loader's sampler unless it is one of these two kinds: the first in several processes, the
    second under ``overfit_batches`` (where the data module does not shuffle). Either would take rows for batches.

    The batches of all processes with the same number are one batch of ``world * batch_size`` rows of a single order.
    Each row is in one of them, and all processes have the same number of batches: rows of a last batch that are too few
    for all processes join the one before.

    Args:
        length: number of rows, at least ``world``.
        batch_size: rows per batch and process.
        shuffle: a new order each epoch, decided by (seed, epoch) alone.
        seed: of the order.
        rank, world: this process's number, and how many there are.

    Attributes:
        epoch: of the next pass; Lightning sets it.
        begin: number of the batch with which passes begin.
    """

    def __init__(self, length: int, batch_size: int, shuffle: bool, seed: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(range(length), world, rank, shuffle, seed)  # type: ignore[arg-type]
        self.length, self.batch_size, self.world, self.begin = length, batch_size, world, 0

    def __len__(self) -> int:
        whole, rest = divmod(self.length, self.batch_size * self.world)
        return whole + (rest >= self.world or whole == 0)

    def __iter__(self) -> Iterator[BatchIndex]:  # type: ignore[override]
        rows = self._rows(torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch))
        size, last = self.batch_size * self.world, len(self) - 1
        for number in range(self.begin, last + 1):
            batch = rows[number * size : None if number == last else (number + 1) * size]
            yield number, batch[self.rank :: self.world]

    def _rows(self, generator: torch.Generator) -> Tensor:
        """All rows of the epoch, in order."""
        return torch.randperm(self.length, generator=generator) if self.shuffle else torch.arange(self.length)


class PairSampler(BatchSampler):
    """Yields pairs of rows: every object once an epoch, by views that are drawn by (seed, epoch).

    The rows of an object lie side by side. Without shuffling, its first two are taken.

    Args:
        views: (O,) how many rows each object has, >= 1.
        positives: what the second of a pair is: "augment" (the same network), "views" (another view, where the object
            has one), "both" (one or the other, with equal probability).
        batch_size, shuffle, seed, rank, world: see ``BatchSampler``.
    """

    def __init__(
        self, views: Tensor, positives: str, batch_size: int, shuffle: bool, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__(len(views), batch_size, shuffle, seed, rank, world)
        self.views, self.positives = views, positives
        self.first_rows = views.cumsum(0) - views

    def _rows(self, generator: torch.Generator) -> Tensor:
        """(O, 2) rows of the epoch's pairs, in order."""
        order = super()._rows(generator)
        draws = torch.zeros(3, self.length, dtype=torch.float64)
        if self.shuffle:
            draws = torch.rand(draws.shape, dtype=draws.dtype, generator=generator)
        views = self.views[order]
        first = (draws[0] * views).long()
        other = (first + 1 + (draws[1] * (views - 1)).long()) % views
        same = {"augment": torch.ones_like(views).bool(), "views": torch.zeros_like(views).bool()}
        second = torch.where(same.get(self.positives, draws[2] < 0.5), first, other)
        return self.first_rows[order, None] + torch.stack([first, second], dim=1)
