"""Assigning networks to batches, in one process or several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler, SequentialSampler

from weightspace.batch import WeightBatch
from weightspace.zoo import Zoo

#: (index of the batch in its epoch, (B,) rows or (B, 2) rows of pairs)
BatchIndex = tuple[int, Tensor]

#: Kinds of positive pairs for contrastive training, see ``PairSampler``.
POSITIVES = ("augment", "views", "both")


class ZooDataset(Dataset[Any]):
    """A dataset of selected rows of a zoo. An item is a complete batch: one gather, no work per network.

    Args:
        zoo: the zoo to read.
        rows: (n,) rows of the zoo.
        in_memory: copy their parameters to memory; else each batch is read from the shards' pages, which the
            operating system keeps as long as there is room, once for all processes.
        numbers: (K,) int64 number in batches of each of the zoo's classes; None: the numbers of the zoo.
        num_classes: number of classes that are numbered so; None: that of the zoo.
        frames: (n, F) int32 ``WeightBatch.frame`` of these rows; None: batches have none.
    """

    def __init__(
        self,
        zoo: Zoo,
        rows: Tensor,
        in_memory: bool = True,
        numbers: Tensor | None = None,
        num_classes: int | None = None,
        frames: Tensor | None = None,
    ) -> None:
        self.spec, self.num_classes = zoo.spec, num_classes or (len(zoo.class_names) if zoo.class_names else None)
        self.zoo, self.rows, self.frames = zoo, rows, frames
        self.params = zoo.params(rows) if in_memory else None
        self.targets = zoo.targets[rows] if numbers is None else numbers[zoo.targets[rows]]
        self.identities = torch.stack([zoo.objects[rows], zoo.views[rows]], dim=1)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: BatchIndex) -> WeightBatch | tuple[WeightBatch, ...]:
        """The batch of these rows, or, for rows of pairs, two batches of corresponding networks."""
        number, rows = index
        if rows.ndim == 2:
            return tuple(self._batch(number, column) for column in rows.unbind(1))
        return self._batch(number, rows)

    def _batch(self, number: int, rows: Tensor) -> WeightBatch:
        objects, views = self.identities.index_select(0, rows).unbind(1)
        targets = self.targets.index_select(0, rows)
        params = self.zoo.params(self.rows[rows]) if self.params is None else self.params.index_select(0, rows)
        frame = None if self.frames is None else self.frames.index_select(0, rows)
        return WeightBatch(params, self.spec, targets, objects, views, self.num_classes, number, frame=frame)


class BatchSampler(DistributedSampler[Any], SequentialSampler):
    """Yields a process's share of the rows in batches, each with its index in the epoch.

    It derives from two samplers because Lightning replaces all others: the first is kept in several processes, the
    second under ``overfit_batches`` (for which the data module does not shuffle). Lightning's replacement would take
    rows for batches.

    The batches of all processes with the same number are one batch of ``world * batch_size`` rows of a single order.
    Each row is in one of them, and all processes have the same number of batches: rows of a last batch that are too few
    for all processes join the one before.

    Args:
        length: number of rows, at least ``world``.
        batch_size: rows per batch and process.
        shuffle: a new order each epoch, decided by (seed, epoch) alone.
        seed: seed of the order.
        rank, world: rank of this process and world size.

    Attributes:
        epoch: epoch of the next pass, set by Lightning.
        begin: index of the first batch of each pass.
    """

    def __init__(self, length: int, batch_size: int, shuffle: bool, seed: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(range(length), world, rank, shuffle, seed)  # type: ignore[arg-type]
        self.length, self.batch_size, self.world, self.begin = length, batch_size, world, 0

    def __len__(self) -> int:
        whole, rest = divmod(self.length, self.batch_size * self.world)
        return whole + (rest >= self.world or whole == 0)

    @property
    def whole(self) -> int:
        """Rows in each of this process's batches but the last; in its only one, if there is one."""
        return self.batch_size if len(self) > 1 else len(range(self.rank, self.length, self.world))

    def sizes(self, number: int) -> list[int]:
        """Rows of each process in the batch of this number, from 0, in an epoch."""
        size = self.batch_size * self.world
        rows = self.length - number * size if number == len(self) - 1 else size
        return [len(range(rank, rows, self.world)) for rank in range(self.world)]

    def __iter__(self) -> Iterator[BatchIndex]:  # type: ignore[override]
        rows = self.rows_of_epoch(self.generator())
        for number in range(self.begin, len(self)):
            yield number, self.share(rows, number)

    def generator(self) -> torch.Generator:
        """The generator of all that is drawn for this epoch."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)

    def share(self, rows: Tensor, number: int) -> Tensor:
        """This process's part of the batch of this number, from all rows of the epoch."""
        size = self.batch_size * self.world
        batch = rows[number * size : None if number == len(self) - 1 else (number + 1) * size]
        return batch[self.rank :: self.world]

    @property
    def num_rows(self) -> int:
        """Number of rows that are numbered."""
        return self.length

    def rows_of_epoch(self, generator: torch.Generator) -> Tensor:
        """All rows of the epoch in the order in which they are used."""
        return torch.randperm(self.length, generator=generator) if self.shuffle else torch.arange(self.length)


class PairSampler(BatchSampler):
    """Yields pairs of rows: every object once per epoch, with views drawn from (seed, epoch).

    The rows of an object are adjacent. Without shuffling, its first two are used.

    Args:
        views: (O,) number of rows of each object, >= 1.
        positives: the second network of a pair: "augment" (the same network), "views" (another view, if the object
            has one), "both" (either, with equal probability).
        batch_size, shuffle, seed, rank, world: see ``BatchSampler``.
    """

    def __init__(
        self, views: Tensor, positives: str, batch_size: int, shuffle: bool, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__(len(views), batch_size, shuffle, seed, rank, world)
        self.views, self.positives = views, positives
        self.first_rows = views.cumsum(0) - views

    @property
    def num_rows(self) -> int:
        """Number of rows that are numbered: those of all objects."""
        return int(self.views.sum())

    def rows_of_epoch(self, generator: torch.Generator) -> Tensor:
        """(O, 2) rows of the epoch's pairs, in order."""
        order = super().rows_of_epoch(generator)
        draws = torch.zeros(3, self.length, dtype=torch.float64)
        if self.shuffle:
            draws = torch.rand(draws.shape, dtype=draws.dtype, generator=generator)
        views = self.views[order]
        first = (draws[0] * views).long()
        other = (first + 1 + (draws[1] * (views - 1)).long()) % views
        same = {"augment": torch.ones_like(views).bool(), "views": torch.zeros_like(views).bool()}
        second = torch.where(same.get(self.positives, draws[2] < 0.5), first, other)
        return self.first_rows[order, None] + torch.stack([first, second], dim=1)
