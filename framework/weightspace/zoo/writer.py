"""Writing a zoo shard by shard, so that a run that was cut goes on where it stood."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.zoo.header import FILE, ShardEntry, ZooHeader
from weightspace.zoo.shard import check_size, check_sum, write_shard

JOURNAL = "journal.jsonl"


class ZooWriter:
    """Writes a zoo into a folder: shards first, ``zoo.json`` last.

    The journal's first line says what the zoo is to be, every other line lists a whole shard. A writer of the same
    job on the same folder takes over the shards of the journal; a writer of another job is refused.

    Args:
        path: the folder; made if it does not exist.
        job: JSON-like description of everything that decides the zoo's bytes.
        header: what ``zoo.json`` will hold, still without shards.

    Raises:
        ZooError: the folder cannot be written, holds something else, or another process writes it.
    """

    def __init__(self, path: str | Path, job: dict[str, Any], header: ZooHeader) -> None:
        self.path = Path(path).expanduser()
        self.job, self.header = job, header
        self.done: list[ShardEntry] = []
        self.failed: list[dict[str, Any]] = []

    @property
    def finished(self) -> bool:
        """Whether ``zoo.json`` exists (of the same job, which ``__enter__`` checks)."""
        return (self.path / FILE).exists()

    def __enter__(self) -> ZooWriter:
        with self._named("written"):
            foreign = [p for p in self.path.glob("*") if p.name != "shards" and not p.name.endswith(".tmp")]
            if foreign and not self.finished and not (self.path / JOURNAL).exists():
                raise ZooError(f"{self.path} is not empty and holds no zoo: choose another folder")
            (self.path / "shards").mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "shards", os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise ZooError(f"another process is writing the zoo at {self.path}: wait for it, or stop it") from error
        try:
            self._take_over()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def write(self, tensors: dict[str, Tensor], failed: list[dict[str, Any]]) -> None:
        """Adds the next shard, and the networks that were left out of it."""
        with self._named("written"):
            entry = write_shard(self.path, len(self.done), tensors)
            self._append({**asdict(entry), "failed": failed})
        self.done.append(entry)
        self.failed += failed

    def finish(self) -> ZooHeader:
        """Writes ``zoo.json`` and removes the journal."""
        header = ZooHeader(**{**vars(self.header), "shards": self.done, "failed": self.failed})
        if not header.rows:
            raise ZooError(f"no network is left for {self.path}: all {len(self.failed)} diverged twice")
        with self._named("finished"):
            write_whole(self.path / FILE, header.to_text().encode())
            (self.path / JOURNAL).unlink(missing_ok=True)
        return header

    def _take_over(self) -> None:
        if self.finished:
            header = ZooHeader.read(self.path)
            self._same_job({key: header.provenance.get(key) for key in self.job}, "a finished zoo")
            self.done, self.failed = header.shards, header.failed
            return
        lines = self._read_journal()
        with self._named("written"):
            for leftover in self.path.glob("**/.*.tmp"):
                leftover.unlink()
            if not lines:
                write_whole(self.path / JOURNAL, (json.dumps(self.job, sort_keys=True) + "\n").encode())
                return
        self._same_job(lines[0], "an unfinished zoo")
        for line in lines[1:]:
            entry = ShardEntry(**{k: v for k, v in line.items() if k != "failed"})
            shard = self.path / "shards" / entry.file
            check_size(shard, entry)
            check_sum(shard, entry)
            self.done.append(entry)
            self.failed += line["failed"]

    def _read_journal(self) -> list[dict[str, Any]]:
        path = self.path / JOURNAL
        if not path.exists():
            return []
        whole, _, cut = path.read_bytes().rpartition(b"\n")
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise ZooError(f"{path} is damaged ({error}): remove the folder and fit again") from error
        if cut:  # the process was killed while it wrote the last line
            with self._named("written"):
                write_whole(path, whole + b"\n")
        return lines

    def _append(self, line: dict[str, Any]) -> None:
        with (self.path / JOURNAL).open("ab") as journal:
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
    """Leaves in which two JSON values differ, as (dotted key, in a, in b)."""
    if isinstance(a, dict) and isinstance(b, dict):
        rows = []
        for key in sorted({*a, *b}):
            rows += _differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else key)
        return rows
    return [] if a == b else [(prefix, a, b)]
