"""Writing a zoo shard by shard, so that an interrupted job resumes after its last complete shard."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.zoo import journal
from weightspace.zoo.differences import CIRCUMSTANCES, SURROUNDINGS, describe_differences, differing
from weightspace.zoo.disk_errors import disk_errors
from weightspace.zoo.header import FILE, ShardEntry, ZooHeader
from weightspace.zoo.lock import ZooLock
from weightspace.zoo.schema import HEADER, TEXT_LIMIT, check_provenance, check_some, parse
from weightspace.zoo.shard import check_sum, read_shard, write_shard


class ZooWriter:
    """Writes a zoo into a folder: shards first, ``zoo.json`` last.

    The first line of the journal describes the job, each other line lists a complete shard; every line has its own
    digest. A writer of the same job on the same folder keeps the complete shards; a writer of another job is refused,
    and so is an altered journal.

    Several ranks can write one zoo: each writes its own shards and its own journal. Rank 0 prepares the folder before
    the others open it, and finishes it after them.

    Args:
        path: the folder; created if needed.
        job: JSON-like description of everything that decides the zoo's bytes.
        header: the future content of ``zoo.json``, without shards; its provenance includes the job.
        sizes: planned number of networks of each shard; None: any.
        rank: of this process among those that write the zoo.

    Attributes:
        done: complete shards by number.
        left_out: the networks that were left out, by number of the shard.

    Raises:
        ZooError: the folder cannot be written, contains something else, or is being written by another process; or
            the header would violate the format.
    """

    def __init__(
        self,
        path: str | Path,
        job: dict[str, Any],
        header: ZooHeader,
        rank: int = 0,
        sizes: Sequence[int] | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.job, self.header, self.rank, self.sizes = job, header, rank, sizes
        _check(header, str(self.path))
        self.done: dict[int, ShardEntry] = {}
        self.left_out: dict[int, list[dict[str, Any]]] = {}
        self._lock = ZooLock(self.path)

    @property
    def finished(self) -> bool:
        """Whether ``zoo.json`` exists (of the same job, which ``__enter__`` checks)."""
        return (self.path / FILE).exists()

    def __enter__(self) -> ZooWriter:
        if self.rank == 0:
            self._prepare()
        try:
            self._take_over()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def write(self, tensors: dict[str, Tensor], left_out: list[dict[str, Any]], number: int | None = None) -> None:
        """Writes a shard (by default the next one) and records the networks left out of it."""
        number = len(self.done) if number is None else number
        with self._disk_errors("written"):
            entry = write_shard(self.path, number, tensors)
            journal.append(self.path, self.rank, entry, left_out)
        self.done[number], self.left_out[number] = entry, left_out

    def finish(self) -> ZooHeader:
        """Writes ``zoo.json`` with the shards of all ranks, and removes the journals; without networks, removes all.

        Raises:
            ZooError: shards are missing, no network is left, or the file cannot be written.
        """
        found = journal.read(self.path)
        assert found is not None, "the first process has begun the journal"
        found.check_planned(self.sizes)
        self.done, self.left_out = found.done, found.left_out
        missing = set(range(len(self.sizes or ()))) - self.done.keys()
        if missing:
            raise ZooError(f"{len(missing)} shards of {self.path} are missing: run it again to resume")
        shards = [self.done[number] for number in sorted(self.done)]
        left_out = [network for number in sorted(self.left_out) for network in self.left_out[number]]
        header = replace(self.header, shards=shards, left_out=left_out)
        if not header.rows:
            with self._disk_errors("cleared"):
                self._remove()
            raise ZooError(
                f"no network is left for {self.path}: all {len(left_out)} were left out, the first: {left_out[:1]}"
            )
        content = header.to_text().encode()
        if len(content) > TEXT_LIMIT:
            raise ZooError(f"{self.path / FILE} would be too large: {len(left_out)} networks were left out")
        ZooHeader.from_text(content, f"{self.path / FILE} would break the format, and was not written")
        with self._disk_errors("finished"):
            write_whole(self.path / FILE, content)
            journal.remove(self.path)
        return header

    def _remove(self) -> None:
        """Removes the shards and journals, and the folder unless it contains something else."""
        journal.remove(self.path)
        for entry in self.done.values():
            (self.path / "shards" / entry.file).unlink(missing_ok=True)
        for folder in (self.path / "shards", self.path):
            with suppress(OSError):  # not empty
                folder.rmdir()

    def _prepare(self) -> None:
        """Takes possession of the folder, and removes what an interrupted job has left incomplete."""
        with self._disk_errors("written"):
            foreign = [p for p in self.path.glob("*") if p.name != "shards" and not p.name.endswith(".tmp")]
            if foreign and not self.finished and not journal.journals(self.path):
                raise ZooError(f"{self.path} is not empty and holds no zoo: choose another folder")
            (self.path / "shards").mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            for leftover in self.path.glob("**/.*.tmp"):
                leftover.unlink()
            journal.cut_halves(self.path)

    def _take_over(self) -> None:
        if self.finished:
            header = ZooHeader.read(self.path)
            self._same_job(header.provenance, "a finished zoo", self.job.keys() - SURROUNDINGS)
            self.done, self.left_out = dict(enumerate(header.shards)), {0: header.left_out}
            return
        found = journal.read(self.path)
        if found is None:
            if self.rank == 0:
                with self._disk_errors("written"):
                    journal.begin(self.path, self.header.provenance)
            return
        self._same_job(found.job, "an unfinished zoo", self.job)
        found.check_planned(self.sizes)
        begun = {
            key: found.job[key] for key in self.job if key in found.job
        }  # zoo.json says what it would have said without the cut
        self.header = replace(self.header, provenance={**self.header.provenance, **begun})
        if self.rank == 0:  # the others read what it has left
            with self._disk_errors("written"):
                found = journal.keep(found, self._is_whole)
        self.done, self.left_out = found.done, found.left_out

    def _is_whole(self, entry: ShardEntry) -> bool:
        """Whether a shard's file matches its entry and has the columns of this zoo."""
        try:
            check_sum(self.path / "shards" / entry.file, entry)
            read_shard(self.path, entry, self.header)
        except (ZooError, OSError):
            return False
        return True

    def _same_job(self, found: dict[str, Any], what: str, compared: Collection[str]) -> None:
        asked = json.loads(json.dumps({**self.header.provenance, **self.job}))
        keys = set(differing(found, asked, compared))
        if not keys:
            return
        lines = "".join(f"\n  {line}" for line in describe_differences(found, asked, self.job))
        if keys <= CIRCUMSTANCES:
            raise ZooError(
                f"{self.path} holds {what} of this job, made in another way, which gives other last bits:{lines}\n"
                "choose another folder, or make it as it was begun"
            )
        raise ZooError(
            f"{self.path} holds {what} of another job:{lines}\nchoose another folder, or give the same arguments"
        )

    def _disk_errors(self, deed: str) -> AbstractContextManager[None]:
        return disk_errors(f"the zoo at {self.path} cannot be {deed}", "complete shards are kept")


def _check(header: ZooHeader, where: str) -> None:
    """Raises ZooError if a header would violate the format, as far as this is known before there are shards."""
    said = {"quality": header.quality, "provenance": header.provenance, "failed": header.left_out}
    parsed = parse(json.dumps(said).encode(), f"what {where} would say")
    check_some(parsed, HEADER, where)
    check_provenance(parsed["provenance"], f"{where}: provenance")
