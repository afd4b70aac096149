"""Fitting a zoo on disk: which networks to fit, in which order, and resuming after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.distributed import first_then_all, rank, wait_for_all, world_size
from weightspace.errors import ZooError
from weightspace.fitting.base import Fitted, Fitter
from weightspace.fitting.draw import drawn, near_copies
from weightspace.progress import Display
from weightspace.sources.base import Objects
from weightspace.version import __version__
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.writer import ZooWriter

#: Planned networks per shard. An interruption loses at most one unfinished shard per process.
SHARD_ROWS = 256
#: Largest number of networks in a plan, since the rows of a plan are in memory.
MOST = 100_000_000


@dataclass(frozen=True)
class ZooPlan:
    """The number of networks to fit for each split, and the seed.

    Args:
        train, val, test: objects per split. Validation and test objects come from the source's own validation and test
            sets, where it has them, else from the training pool.
        views: neural views of each training object.
        eval_views: neural views of each validation and test object.
        seed: decides which objects are drawn, and every initialisation.

    Raises:
        ZooError: a count is not a whole number, or out of range.
    """

    train: int
    val: int
    test: int
    views: int = 1
    eval_views: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("train", 1), ("val", 0), ("test", 0), ("views", 1), ("eval_views", 1), ("seed", 0)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), low, error=ZooError))
        if self.seed >= 2**63 or self.networks > MOST:
            raise ZooError(
                f"a zoo has {MOST:,} networks at most, and a seed of 63 bits: found {self.networks:,} networks and "
                f"seed {self.seed}"
            )

    @property
    def networks(self) -> int:
        """Number of planned networks."""
        return self.train * self.views + (self.val + self.test) * self.eval_views

    @property
    def shards(self) -> int:
        """Number of shards into which they are written."""
        return -(-self.networks // SHARD_ROWS)

    def rows(self, source: Objects) -> dict[str, Tensor]:
        """(n,) object, view and split of every planned network, all views of an object together.

        Raises:
            ZooError: the plan needs more objects than the source has, or near-copies cannot be kept together.
        """
        pools = drawn(source, (self.train, self.val, self.test), self.seed)
        objects: list[np.ndarray] = []
        views: list[np.ndarray] = []
        splits: list[np.ndarray] = []
        for split, pool in enumerate(pools):  # in the order of SPLITS
            count = self.views if split == 0 else self.eval_views
            objects.append(np.repeat(pool, count))
            views.append(np.tile(np.arange(count), len(pool)))
            splits.append(np.full(len(pool) * count, split, dtype=np.uint8))
        columns = {"object": objects, "view": views, "split": splits}
        return {name: torch.from_numpy(np.concatenate(parts)) for name, parts in columns.items()}


@dataclass(frozen=True)
class Progress:
    """State of a running fit: networks done and planned, the mean of their first quality (PSNR in dB; None before the
    first fit), how many diverged and were fitted again with a fresh seed, and how many were left out after diverging
    twice.
    """

    done: int
    total: int
    quality: float | None
    refitted: int
    left_out: int


class ZooFit:
    """Fits a planned zoo into a folder.

    Args:
        source: the objects.
        plan: the networks to fit.
        fitter: recipe and mode. The mode is part of the zoo's identity, because it affects the last bits.
        out: folder of the zoo.

    Where several processes have joined (``weightspace.distributed.joined``), each fits its share of the shards.
    """

    def __init__(self, source: Objects, plan: ZooPlan, fitter: Fitter, out: str | Path) -> None:
        self.source, self.plan, self.fitter = source, plan, fitter
        if source.most_views is not None and max(plan.views, plan.eval_views) > source.most_views:
            asked = max(plan.views, plan.eval_views)
            raise ZooError(f"an object of {source.name} has {source.most_views} views at most, asked for {asked}")
        self.rows = plan.rows(source)
        planned, full = len(self), SHARD_ROWS
        sizes = [min(full, planned - begin) for begin in range(0, planned, full)]
        self.writer = ZooWriter(out, self._job(), self._header(), rank(), sizes)

    def __len__(self) -> int:
        return len(self.rows["object"])

    def run(self, report: Callable[[Progress], None], display: Display | None = None) -> ZooHeader:
        """Fits the missing networks and writes them to the zoo.

        Args:
            report: called with the progress so far at the start, then after every block of this process.
            display: where the source shows how far it is in preparing objects; None: nowhere.

        Raises:
            ZooError: the folder cannot be written, or contains something else.
        """
        first_then_all(self.writer.__enter__)
        with ExitStack() as stack:
            stack.push(self.writer)
            return self._run(report, display or Display(show=False))

    def shard(self, number: int) -> dict[str, Tensor]:
        """Fits the networks of one shard again and returns its tensors."""
        tally = _Tally(SHARD_ROWS, 0, lambda progress: None)
        return self._shard(slice(number * SHARD_ROWS, (number + 1) * SHARD_ROWS), tally)[0]

    def versions(self) -> dict[str, str]:
        """Versions that affect the last bits of the weights."""
        return {"weightspace": __version__, "torch": torch.__version__, "numpy": np.__version__}

    def _run(self, report: Callable[[Progress], None], display: Display) -> ZooHeader:
        writer, planned = self.writer, len(self)
        if writer.finished:
            _Tally(planned, 0, report).skip(planned)
            return ZooHeader.read(writer.path)
        missing = [n for n in range(self.plan.shards) if n not in writer.done]
        wait_for_all()  # all have the same list before one of them writes a shard
        own = missing[rank() :: world_size()]
        sizes = {n: min(SHARD_ROWS, planned - n * SHARD_ROWS) for n in own}
        there = planned - sum(min(SHARD_ROWS, planned - n * SHARD_ROWS) for n in missing)
        if own:
            rows = [self.rows["object"][number * SHARD_ROWS : (number + 1) * SHARD_ROWS] for number in own]
            self.source.prepare(torch.cat(rows), display)
        tally = _Tally(there + sum(sizes.values()), sum(map(len, writer.left_out.values())), report)
        tally.skip(there)
        if own:
            self.fitter.compile()
        for number in own:
            writer.write(*self._shard(slice(number * SHARD_ROWS, (number + 1) * SHARD_ROWS), tally), number)
        wait_for_all()
        if rank() == 0:
            writer.finish()
        wait_for_all()
        return ZooHeader.read(writer.path)

    def _shard(self, rows: slice, tally: _Tally) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        objects, views, splits = (self.rows[name][rows] for name in ("object", "view", "split"))
        fits = self._fit(objects, views, attempt=0, tally=tally)
        assert fits.targets is not None
        bad = (~fits.ok).nonzero().flatten()
        if len(bad):  # fitted once more, with a fresh seed
            again = self._fit(objects[bad], views[bad], attempt=1, tally=None)
            for column, other in zip(vars(fits).values(), vars(again).values(), strict=True):
                column[bad] = other
            tally.refitted(len(bad))
        ok = fits.ok
        left_out = [
            {"object": int(o), "view": int(v), "reason": "diverged twice"}
            for o, v in zip(objects[~ok], views[~ok], strict=True)
        ]
        tally.leave_out(len(left_out))
        tensors = {
            "params": fits.params[ok],
            "target": fits.targets[ok],
            "object": objects[ok],
            "view": views[ok],
            "split": splits[ok],
            "quality": fits.quality[ok],
        }
        return tensors, left_out

    def _fit(self, objects: Tensor, views: Tensor, attempt: int, tally: _Tally | None) -> Fitted:
        parts, fitter = [], self.fitter
        sizes = fitter.blocks(objects)
        for o, v in zip(objects.split(sizes), views.split(sizes), strict=True):
            networks = [(int(a), int(b), attempt) for a, b in zip(o, v, strict=True)]
            parts.append(fitter.fit_objects(self.source, networks, self.plan.seed))
            if tally:
                tally.add(parts[-1])
        joined = (torch.cat([getattr(part, name) for part in parts]) for name in ("params", "quality", "targets"))
        return Fitted(*joined)

    def _job(self) -> dict[str, Any]:
        """Everything that determines the bytes of the zoo."""
        return {
            "source": {"name": self.source.name, "digest": self.source.digest},
            "recipe": self.fitter.recipe.to_json(self.fitter.recipe_fields),
            "plan": vars(self.plan),
            "mode": self.fitter.mode,
            "device": self.fitter.device.type,
            "versions": self.versions(),
        }

    def _header(self) -> ZooHeader:
        provenance = {**self._job(), "source_arguments": self.source.arguments}
        if self.source.left_out:
            provenance["skipped"] = [{"path": path, "reason": reason} for path, reason in self.source.left_out]
        for name in ("license", "attribution"):  # only where they are stated: others' zoos keep their bytes
            if stated := getattr(self.source, name):
                provenance[name] = stated
        if self.source.groups is not None:
            provenance["near_copies"] = near_copies(self.source.groups, self.rows["object"].unique().numpy())
        if self.source.codes:
            provenance["codes"] = dict(self.source.codes)
        names = self.source.class_names
        target = {"kind": "class" if names else "value", "names": list(names or self.source.target_names)}
        return ZooHeader(self.fitter.spec, target, self.fitter.quality, provenance, shards=[])


class _Tally:
    """Counts the networks of a running fit and reports every change."""

    def __init__(self, total: int, left_out: int, report: Callable[[Progress], None]) -> None:
        self._total, self._left_out, self._report = total, left_out, report
        self._done, self._refitted, self._sum, self._count = 0, 0, 0.0, 0

    def skip(self, count: int) -> None:
        """Counts networks that already exist."""
        self._done += count
        self._report_progress()

    def add(self, fits: Fitted) -> None:
        """Counts the networks of a fitted block."""
        finite = fits.first_quality[fits.ok].clamp(max=200)  # an exact fit has infinite PSNR
        self._done += len(fits.first_quality)
        self._sum += float(finite.sum())
        self._count += len(finite)
        self._report_progress()

    def refitted(self, count: int) -> None:
        """Counts networks that diverged and were fitted again."""
        self._refitted += count
        self._report_progress()

    def leave_out(self, count: int) -> None:
        """Counts networks that diverged twice."""
        self._left_out += count
        self._report_progress()

    def _report_progress(self) -> None:
        mean = self._sum / self._count if self._count else None
        self._report(Progress(self._done, self._total, mean, self._refitted, self._left_out))
