"""The journal of a zoo that is being written: its job, and the shards that are complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from weightspace.errors import ZooError
from weightspace.files import read_regular, space_for, write_whole
from weightspace.zoo.header import ShardEntry, digest
from weightspace.zoo.schema import SHARD_LINE, TEXT_LIMIT, check_fields, check_provenance, parse

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Journal:
    """Content of the journals of a folder.

    Args:
        folder: the zoo's folder.
        job: the first line, which becomes the zoo's provenance.
        done: complete shards by number.
        left_out: the networks left out of each shard.
    """

    folder: Path
    job: dict[str, Any]
    done: dict[int, ShardEntry]
    left_out: dict[int, list[dict[str, Any]]]

    def check_planned(self, sizes: Sequence[int] | None) -> None:
        """Checks that every shard is one that the job writes.

        Args:
            sizes: planned networks of each shard; None: not known.

        Raises:
            ZooError: a shard beyond the last, or one with more networks than are planned.
        """
        if sizes is None:
            return
        for number, entry in self.done.items():
            planned = sizes[number] if number < len(sizes) else 0
            if entry.rows > planned or number >= len(sizes):
                problem = f"lists {entry.rows} networks in {entry.file}, where {planned} are planned"
                raise ZooError(f"{self.folder / JOURNAL} {problem}: {_REMEDY}")

    def without(self, lost: Collection[int]) -> Journal:
        """A copy without some shards."""
        done = {number: entry for number, entry in self.done.items() if number not in lost}
        left_out = {number: networks for number, networks in self.left_out.items() if number not in lost}
        return replace(self, done=done, left_out=left_out)


def journals(folder: Path) -> list[Path]:
    """Paths of the journals, one per rank that writes or wrote the zoo."""
    return sorted(folder.glob("journal*.jsonl"))


def begin(folder: Path, job: dict[str, Any]) -> None:
    """Writes the first line of rank 0's journal, and removes the journals of other ranks."""
    remove(folder)
    write_whole(folder / JOURNAL, _line(job))


def append(folder: Path, rank: int, entry: ShardEntry, left_out: list[dict[str, Any]]) -> None:
    """Appends a complete shard, with the networks left out of it, to the journal of a rank."""
    path = folder / (f"journal-{rank}.jsonl" if rank else JOURNAL)
    line = _line({**asdict(entry), "failed": left_out})
    with space_for(path, len(line)), path.open("ab") as journal:
        journal.write(line)
        journal.flush()
        os.fsync(journal.fileno())


def remove(folder: Path) -> None:
    """Removes all journals."""
    for path in journals(folder):
        path.unlink()


def cut_halves(folder: Path) -> None:
    """Removes an incomplete last line from each journal, left by a process that was killed while writing it."""
    for path in journals(folder):
        whole, _, half = read_regular(path, TEXT_LIMIT).rpartition(b"\n")
        if half:
            write_whole(path, whole + b"\n" if whole else b"")


def read(folder: Path) -> Journal | None:
    """Reads all journals of a folder; None if there is none.

    Raises:
        ZooError: a line that was altered, or does not follow the schema.
    """
    lines = {path: _lines(path) for path in journals(folder)}
    head = lines.get(folder / JOURNAL, [])[:1]
    if not head:
        return None
    where = f"{folder / JOURNAL}, line 1,"
    job, signed = _parse(head[0], where, "remove the folder to begin anew")
    check_provenance(job, where)
    found = Journal(folder, job, {}, {})
    for path, written in lines.items():
        for number, line in enumerate(written, start=1):
            if (path.name, number) == (JOURNAL, 1):
                continue
            where = f"{path}, line {number},"
            entry, left_out = _shard(line, where, signed)
            if entry.number in found.done:
                raise ZooError(f"{where} lists {entry.file}, which another line lists: {_REMEDY}")
            found.done[entry.number], found.left_out[entry.number] = entry, left_out
    return found


def keep(found: Journal, whole: Callable[[ShardEntry], bool]) -> Journal:
    """Drops shards that are not complete from the journals, also on disk, so that they are made again."""
    lost = {number for number, entry in found.done.items() if not whole(entry)}
    names = {found.done[number].file for number in lost}
    for path in journals(found.folder) if lost else ():
        lines = _lines(path)
        kept = [line for line in lines if json.loads(line).get("file") not in names]
        if len(kept) < len(lines):
            write_whole(path, b"".join(line + b"\n" for line in kept))
    return found.without(lost)


#: What to do with a line that is wrong.
_REMEDY = "remove the line, so that its shard is made again, or the folder, to begin anew"


def _line(content: dict[str, Any]) -> bytes:
    data = json.loads(json.dumps(content))  # as it will be read
    return (json.dumps({**data, "digest": digest(data)}, sort_keys=True) + "\n").encode()


def _lines(path: Path) -> list[bytes]:
    try:
        return read_regular(path, TEXT_LIMIT).split(b"\n")[:-1]
    except OSError as error:
        raise ZooError(f"{path} cannot be read: {error.strerror or error}") from error


def _parse(line: bytes, where: str, remedy: str) -> tuple[dict[str, Any], bool]:
    """Parses a line: its content, and whether it has a digest.

    Raises:
        ZooError: the digest does not match the content.
    """
    try:
        data = parse(line, where)
    except ZooError as error:
        raise ZooError(f"{error}: {remedy}") from error
    signed = "digest" in data
    if signed and data.pop("digest") != digest(data):
        raise ZooError(f"{where} was altered, its digest is not that of its content: {remedy}")
    return data, signed


def _shard(line: bytes, where: str, signed: bool) -> tuple[ShardEntry, list[dict[str, Any]]]:
    data, has_digest = _parse(line, where, _REMEDY)
    if signed and not has_digest:  # journals that an earlier version began have none
        raise ZooError(f"{where} has no digest: {_REMEDY}")
    try:
        check_fields(data, SHARD_LINE, where)
    except ZooError as error:
        raise ZooError(f"{error}: {_REMEDY}") from error
    left_out = data.pop("failed")
    return ShardEntry(**data), left_out
