"""Reading a zoo."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec
from weightspace.zoo.header import FILE, SPLITS, ZooHeader
from weightspace.zoo.shard import check_once, read_shard


class Zoo:
    """A zoo on disk, read-only. Shards are memory-mapped, so opening a large zoo is quick.

    Args:
        path: folder with ``zoo.json``; it may have been moved or renamed.
        check: compare the checksums of all shards, once in a process for each file, a second per gigabyte.

    Raises:
        ZooError: no zoo, an unfinished or altered one, or a shard that is missing, truncated, altered or foreign.
    """

    def __init__(self, path: str | Path, check: bool = True) -> None:
        self.path = Path(path).expanduser()
        self.header = ZooHeader.read(self.path)
        if check:
            for entry in self.header.shards:
                check_once(self.path / "shards" / entry.file, entry)
        self._shards = [read_shard(self.path, entry, self.header) for entry in self.header.shards]

    def __len__(self) -> int:
        return self.header.rows

    @property
    def spec(self) -> NetworkSpec:
        """Architecture of the networks."""
        return self.header.spec

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or None for a regression target."""
        return self.header.class_names

    @cached_property
    def digest(self) -> str:
        """sha256 of ``zoo.json``, which holds the checksums of all shards."""
        return hashlib.sha256((self.path / FILE).read_bytes()).hexdigest()

    @cached_property
    def targets(self) -> Tensor:
        """(n,) int64 classes or (n, T) float32."""
        return self._column("target")

    @cached_property
    def objects(self) -> Tensor:
        """(n,) int64: which object each network stores."""
        return self._column("object")

    @cached_property
    def views(self) -> Tensor:
        """(n,) int64: which neural view of its object a network is."""
        return self._column("view")

    @cached_property
    def splits(self) -> Tensor:
        """(n,) uint8 indices into ``SPLITS``."""
        return self._column("split")

    @cached_property
    def quality(self) -> Tensor:
        """(n, Q) float32, columns named by ``header.quality``."""
        return self._column("quality")

    def _column(self, name: str) -> Tensor:
        return torch.cat([shard[name] for shard in self._shards])

    def rows(self, split: str, first_view_only: bool = False) -> Tensor:
        """Row numbers of a split, in order.

        Args:
            split: one of ``SPLITS``.
            first_view_only: one network per object: that of its lowest view.
        """
        chosen = self.splits == SPLITS.index(split)
        if first_view_only and chosen.any():
            chosen &= self.views == self._first_views(chosen)
        return chosen.nonzero().flatten()

    def _first_views(self, chosen: Tensor) -> Tensor:
        """(n,) lowest chosen view of each row's object (a network can be missing: a fit may fail)."""
        _, where = self.objects.unique(return_inverse=True)
        lowest = torch.full((int(where.max()) + 1,), torch.iinfo(torch.int64).max)
        lowest.scatter_reduce_(0, where[chosen], self.views[chosen], "amin")
        return lowest[where]

    def params(self, rows: Tensor) -> Tensor:
        """(len(rows), P) float32 parameters of these rows: one vectorised gather per shard."""
        if len(self._shards) == 1:
            return self._shards[0]["params"][rows]
        ends = torch.tensor([len(shard["params"]) for shard in self._shards]).cumsum(0)
        where = torch.bucketize(rows.contiguous(), ends, right=True)
        result = torch.empty(len(rows), self.spec.num_params, dtype=torch.float32)
        for number in where.unique().tolist():
            inside = where == number
            start = int(ends[number]) - len(self._shards[number]["params"])
            result[inside] = self._shards[number]["params"][rows[inside] - start]
        return result

    def batch(self, rows: Tensor) -> WeightBatch:
        """These rows with everything that is known of them."""
        num_classes = len(self.class_names) if self.class_names else None
        columns = (self.targets[rows], self.objects[rows], self.views[rows])
        return WeightBatch(self.params(rows), self.spec, *columns, num_classes=num_classes)
