"""Writing a zoo shard by shard, so that a run that was cut goes on where it stood."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.zoo.header import FILE, ShardEntry, ZooHeader
from weightspace.zoo.lock import ZooLock
from weightspace.zoo.shard import check_size, check_sum, write_shard

JOURNAL = "journal.jsonl"


class ZooWriter:
    """Writes a zoo into a folder: shards first, ``zoo.json`` last.

    The journal's first line says what the zoo is to be, every other line lists a whole shard. A writer of the same
    job on the same folder takes over the shards of the journal; a writer of another job is refused.

    Several processes can write one zoo, each its own shards, into a journal of its own. The first prepares the folder
    before the others open it, and finishes it after them.

    Args:
        path: the folder; made if it does not exist.
        job: JSON-like description of everything that decides the zoo's bytes.
        header: what ``zoo.json`` will hold, still without shards.
        process: number of this process among those that write the zoo.

    Attributes:
        done: shards that are whole, by number.
        failed: the networks that were left out, by number of the shard.

    Raises:
        ZooError: the folder cannot be written, holds something else, or another run writes it.
    """

    def __init__(self, path: str | Path, job: dict[str, Any], header: ZooHeader, process: int = 0) -> None:
        self.path = Path(path).expanduser()
        self.job, self.header, self.process = job, header, process
        self.done: dict[int, ShardEntry] = {}
        self.failed: dict[int, list[dict[str, Any]]] = {}
        self._lock = ZooLock(self.path)

    @property
    def finished(self) -> bool:
        """Whether ``zoo.json`` exists (of the same job, which ``__enter__`` checks)."""
        return (self.path / FILE).exists()

    def __enter__(self) -> ZooWriter:
        if self.process == 0:
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

    def write(self, tensors: dict[str, Tensor], failed: list[dict[str, Any]], number: int | None = None) -> None:
        """Adds a shard (the next one, if no number is given), and the networks that were left out of it."""
        number = len(self.done) if number is None else number
        with self._named("written"):
            entry = write_shard(self.path, number, tensors)
            self._append({**asdict(entry), "failed": failed})
        self.done[number], self.failed[number] = entry, failed

    def finish(self) -> ZooHeader:
        """Writes ``zoo.json``, with the shards of all processes, and removes the journals."""
        for path in self._journals():
            self._read_shards(self._read(path))
        shards = [self.done[number] for number in sorted(self.done)]
        failed = [network for number in sorted(self.failed) for network in self.failed[number]]
        header = ZooHeader(**{**vars(self.header), "shards": shards, "failed": failed})
        if not header.rows:
            raise ZooError(
                f"no network is left for {self.path}: all {len(failed)} were left out, the first: {failed[:1]}"
            )
        with self._named("finished"):
            write_whole(self.path / FILE, header.to_text().encode())
            for path in self._journals():
                path.unlink()
        return header

    def _prepare(self) -> None:
        """Makes the folder this run's own, and removes what a cut has left half written."""
        with self._named("written"):
            foreign = [p for p in self.path.glob("*") if p.name != "shards" and not p.name.endswith(".tmp")]
            if foreign and not self.finished and not self._journals():
                raise ZooError(f"{self.path} is not empty and holds no zoo: choose another folder")
            (self.path / "shards").mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            for leftover in self.path.glob("**/.*.tmp"):
                leftover.unlink()
            for path in self._journals():
                whole, _, cut = path.read_bytes().rpartition(b"\n")
                if cut:  # the process was killed while it wrote the last line
                    write_whole(path, whole + b"\n" if whole else b"")

    def _take_over(self) -> None:
        if self.finished:
            header = ZooHeader.read(self.path)
            self._same_job({key: header.provenance.get(key) for key in self.job}, "a finished zoo")
            self.done, self.failed = dict(enumerate(header.shards)), {0: header.failed}
            return
        first = self.path / JOURNAL
        head = self._read(first)[:1] if first.exists() else []
        if head:
            self._same_job(head[0], "an unfinished zoo")
            begun = {key: head[0][key] for key in self.job}  # zoo.json says what it would have said without the cut
            self.header = replace(self.header, provenance={**self.header.provenance, **begun})
            for path in self._journals():
                self._read_shards(self._read(path))
            for entry in self.done.values():
                check_size(self.path / "shards" / entry.file, entry)
                check_sum(self.path / "shards" / entry.file, entry)
        elif self.process == 0:
            with self._named("written"):
                write_whole(first, (json.dumps(self.job, sort_keys=True) + "\n").encode())

    def _journals(self) -> list[Path]:
        return sorted(self.path.glob("journal*.jsonl"))

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in path.read_bytes().splitlines()]
        except ValueError as error:
            raise ZooError(f"{path} is damaged ({error}): remove the folder and fit again") from error

    def _read_shards(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "file" in line:  # the first line of the first journal is the job
                entry = ShardEntry(**{k: v for k, v in line.items() if k != "failed"})
                self.done[entry.number], self.failed[entry.number] = entry, line["failed"]

    def _append(self, line: dict[str, Any]) -> None:
        name = f"journal-{self.process}.jsonl" if self.process else JOURNAL
        with (self.path / name).open("ab") as journal:
            journal.write((json.dumps(line, sort_keys=True) + "\n").encode())
            journal.flush()
            os.fsync(journal.fileno())

    def _same_job(self, found: dict[str, Any], what: str) -> None:
        asked = json.loads(json.dumps(self.job))
        differences = [f"{key}: {then!r} there, {now!r} asked" for key, then, now in _differences(found, asked)]
        if differences:
            raise ZooError(
                f"{self.path} holds {what} of another job ({'; '.join(differences)}): "
                "choose another --out, or give the same options and versions"
            )

    @contextmanager
    def _named(self, deed: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ZooError(f"the zoo at {self.path} cannot be {deed}: {error.strerror or error}") from error


def _differences(a: Any, b: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Leaves of b in which a differs, as (dotted key, in a, in b).

    What only a has is no difference: earlier versions listed recipe fields that their fitter did not use.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        rows = []
        for key in sorted(b):
            rows += _differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else key)
        return rows
    return [] if a == b else [(prefix, a, b)]
