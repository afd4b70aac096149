"""Reading a zoo from disk: the class ``Zoo``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from weightspace.batch import WeightBatch
from weightspace.checks import check_path, require
from weightspace.errors import ZooError, closest
from weightspace.files import read_regular
from weightspace.spec import NetworkSpec
from weightspace.zoo.alignment.store import ZooAlignment, choose_name, names
from weightspace.zoo.examples import Example, Examples
from weightspace.zoo.header import FILE, SPLITS, ZooHeader
from weightspace.zoo.overview import overview
from weightspace.zoo.schema import TEXT_LIMIT
from weightspace.zoo.selection import Index, Split, positions
from weightspace.zoo.shard import open_shard, read_shard


class Zoo:
    """A zoo on disk, read-only. Shards are memory-mapped, so opening a large zoo is quick.

    Args:
        path: folder with ``zoo.json``; it may have been moved or renamed.
        check: compare the checksums of all shards and look whether their networks are finite, once in a process for
            each file, a second per gigabyte.

    Raises:
        ZooError: no zoo, an unfinished or altered one, or a shard that is missing, truncated, altered or foreign, or
            has networks that are not finite, or labels that are no classes.
    """

    #: Draws what notebooks show beside the text, as PNG. The front door of the package sets it: zoos know no figures.
    picture: ClassVar[Callable[[Zoo], bytes | None] | None] = None

    def __init__(self, path: str | Path, check: bool = True) -> None:
        self.path = Path(check_path("path of a zoo", path, ZooError)).expanduser()
        self.header = ZooHeader.read(self.path)
        read = open_shard if check else read_shard
        self._shards = [read(self.path, entry, self.header) for entry in self.header.shards]
        self._splits: Tensor | None = None  # instead of those on disk
        #: which fold's splits it has, as (fold, folds); None: its own
        self.fold: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.header.rows

    @overload
    def __getitem__(self, index: str) -> Split: ...

    @overload
    def __getitem__(self, index: Index) -> WeightBatch: ...

    def __getitem__(self, index: str | Index) -> Split | WeightBatch:
        """A split by its name, or the batch of some networks: ``zoo["train"][:8]``, ``zoo[5]``, ``zoo[[1, 2]]``.

        Args:
            index: name of a split; or a number, a slice, a list or tensor of numbers, or a mask (n,).

        Raises:
            ZooError: there is no such split.
            IndexError: there is no such network.
        """
        if isinstance(index, str):
            return Split(index, str(self.path), self.rows(index), self.batch)
        return self.batch(positions(index, len(self), str(self.path)))

    def __repr__(self) -> str:
        sizes = torch.bincount(self.splits, minlength=len(SPLITS)).tolist()
        return overview(self.path, self.header, dict(zip(SPLITS, sizes, strict=True)))

    def _repr_png_(self) -> bytes | None:
        draw = type(self).picture
        return None if draw is None else draw(self)

    def __reduce__(self) -> tuple[type[Zoo], tuple[Path, bool], dict[str, Any]]:
        # another process maps the files itself: their pages are shared, not sent
        return Zoo, (self.path.resolve(), False), {"_splits": self._splits, "fold": self.fold}

    @property
    def spec(self) -> NetworkSpec:
        """Architecture of the networks."""
        return self.header.spec

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or None for a regression target."""
        return self.header.class_names

    @property
    def value_range(self) -> tuple[float, float]:
        """Outputs of the networks that stand for 0 and 1 of their objects; (0, 1) if the zoo does not say."""
        return self.header.value_range

    @cached_property
    def digest(self) -> str:
        """sha256 of ``zoo.json``, which holds the checksums of all shards."""
        return hashlib.sha256(read_regular(self.path / FILE, TEXT_LIMIT)).hexdigest()

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
        return self._column("split") if self._splits is None else self._splits

    @cached_property
    def quality(self) -> Tensor:
        """(n, Q) float32, columns named by ``header.quality``."""
        return self._column("quality")

    @property
    def near_copies(self) -> list[list[int]]:
        """Objects that are nearly the same, group by group, as far as the zoo says; each of them is in one split."""
        return [list(group) for group in self.header.provenance.get("near_copies", [])]

    def divided_into(self, splits: Tensor | None, fold: tuple[int, int] | None = None) -> Zoo:
        """The same networks in other splits.

        Args:
            splits: (n,) uint8 indices into ``SPLITS``; None: those on disk.
            fold: the fold whose splits these are, and the number of folds.
        """
        zoo = object.__new__(type(self))
        vars(zoo).update(vars(self), _splits=splits, fold=fold)
        vars(zoo).pop("splits", None)  # which has been read
        return zoo

    def _column(self, name: str) -> Tensor:
        return torch.cat([shard[name] for shard in self._shards])

    def rows(self, split: str, first_view_only: bool = False) -> Tensor:
        """Row numbers of a split, in order.

        Args:
            split: one of ``SPLITS``.
            first_view_only: one network per object: that of its lowest view.

        Raises:
            ZooError: there is no such split.
        """
        if split not in SPLITS:
            raise ZooError(f"{self.path} has no split {split!r}: {closest(str(split), SPLITS)}")
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
        """(len(rows), P) float32 parameters of these rows, in their order: one gather per shard.

        Raises:
            IndexError: a row that the zoo does not have.
        """
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"{self.path} has rows 0..{len(self) - 1}, asked for {int(rows.min())}..{int(rows.max())}")
        if len(self._shards) == 1:
            return self._shards[0]["params"][rows]
        wanted = rows.numpy()
        order = wanted.argsort(kind="stable")
        inside = np.searchsorted(wanted[order], self._begins)  # where each shard's part of the sorted rows begins
        gathered = np.empty((len(wanted), self.spec.num_params), dtype=np.float32)
        for number in np.flatnonzero(np.diff(inside)):
            part = slice(inside[number], inside[number + 1])
            local = wanted[order[part]] - self._begins[number]
            np.take(self._arrays[number], local, axis=0, out=gathered[part], mode="clip")
        result = torch.empty(len(wanted), self.spec.num_params, dtype=torch.float32)
        result[torch.from_numpy(order)] = torch.from_numpy(gathered)
        return result

    @cached_property
    def _arrays(self) -> list[np.ndarray]:
        """Each shard's parameters, still on disk."""
        return [shard["params"].numpy() for shard in self._shards]

    @cached_property
    def _begins(self) -> np.ndarray:
        """(shards + 1,) number of each shard's first row, and of all rows."""
        return np.cumsum([0, *(entry.rows for entry in self.header.shards)])

    def batch(self, rows: Tensor) -> WeightBatch:
        """These rows with everything that is known of them."""
        num_classes = len(self.class_names) if self.class_names else None
        columns = (self.targets[rows], self.objects[rows], self.views[rows])
        return WeightBatch(self.params(rows), self.spec, *columns, num_classes=num_classes)

    @property
    def alignments(self) -> list[str]:
        """Names of the stored alignments, see ``align_zoo``."""
        return names(self.path)

    def alignment(self, name: str | bool | None = None) -> ZooAlignment:
        """A stored alignment.

        Args:
            name: None or True: the only one.

        Raises:
            ZooError: there is none, it is damaged, or the zoo has changed since it was made; there are several, and no
                name is given; or the name is no text.
        """
        holds = name is None or name is True or isinstance(name, str)
        require("the name of an alignment", name, holds, "text, or None or True for the only one", ZooError)
        asked = name if isinstance(name, str) else None
        return ZooAlignment(self.path, self.header, self.digest, choose_name(self.path, asked))

    def to_dataset(self, split: str, first_view_only: bool = False) -> Dataset[Example]:
        """A split as a plain torch Dataset of (parameters (P,), target), for training loops of one's own.

        Args:
            split, first_view_only: see ``rows``.

        Raises:
            ZooError: there is no such split.
        """
        rows = self.rows(split, first_view_only)
        return Examples(rows, self.targets[rows], self.params)
