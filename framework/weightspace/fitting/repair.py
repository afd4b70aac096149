"""Mending a zoo some of whose shards are damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.fitting.job import ZooFit, ZooPlan
from weightspace.zoo.header import FILE, ShardEntry, ZooHeader
from weightspace.zoo.lock import ZooLock
from weightspace.zoo.shard import check_shard, write_shard

#: Makes the job of a zoo again, from its header.
MakeFit = Callable[[ZooHeader], ZooFit]


def damaged_shards(path: Path, header: ZooHeader) -> list[tuple[ShardEntry, str]]:
    """The shards that are missing, or not what ``zoo.json`` says, each with the reason."""
    found = []
    for entry in header.shards:
        try:
            check_shard(path, entry, header)
        except (ZooError, OSError) as error:
            found.append((entry, str(error)))
    return found


def repair(path: Path, make_fit: MakeFit | None) -> Iterator[str]:
    """Fits the networks of damaged shards again, or drops them; yields a line per step.

    Args:
        path: folder of a zoo, whose ``zoo.json`` is whole.
        make_fit: makes the job again; None: drop the networks.

    Raises:
        ZooError: ``zoo.json`` is damaged, the zoo cannot be written, nothing would be left, or its networks were
            not fitted here.
    """
    lock = ZooLock(path)
    header = ZooHeader.read(path)
    try:
        (path / "shards").mkdir(exist_ok=True)
        lock.acquire()
        damaged = damaged_shards(path, header)
        for _, reason in damaged:
            yield f"damaged: {reason}"
        if not damaged:
            yield f"nothing to repair: {len(header.shards)} shards are whole"
        elif make_fit is None:
            yield from _drop(path, header, [entry for entry, _ in damaged])
        else:
            if "source" in header.provenance:
                _check_plan(path, header)
            fit = make_fit(header)
            _check_fit(path, header, fit.writer.header)
            yield from _refit(path, header, [entry for entry, _ in damaged], fit)
    except OSError as error:
        raise ZooError(f"the zoo at {path} cannot be repaired: {error.strerror or error}") from error
    finally:
        lock.release()


def _check_plan(path: Path, header: ZooHeader) -> None:
    """Raises ZooError where the shards are not those of the plan, or of what is left of it."""
    made = header.provenance
    planned = ZooPlan(**made["plan"]).shards if "plan" in made else 0
    dropped = {int(Path(note["shard"]).stem) for note in made.get("repairs", []) if "dropped" in note}
    numbers = dropped | {entry.number for entry in header.shards}
    if (planned, len(numbers)) != (max(numbers) + 1,) * 2:
        raise ZooError(
            f"{path / FILE} has the plan of {planned} shards, but lists {len(numbers)} up to number {max(numbers)}: "
            "they cannot be made again, only dropped (--drop true)"
        )


def _check_fit(path: Path, header: ZooHeader, made: ZooHeader) -> None:
    """Raises ZooError where the job that a provenance describes would make other networks than the zoo's."""
    for what, there, again in (
        ("networks", str(header.spec), str(made.spec)),
        ("qualities", header.quality, made.quality),
        ("targets", header.target, made.target),
    ):
        if there != again:
            raise ZooError(
                f"{path / FILE} lists {what} {there}, but its source and recipe make {again}: they cannot be made "
                "again, only dropped (--drop true)"
            )


def _refit(path: Path, header: ZooHeader, damaged: list[ShardEntry], fit: ZooFit) -> Iterator[str]:
    fit.fitter.compile()
    for entry in damaged:
        new = write_shard(path, entry.number, fit.shard(entry.number))
        if new == entry:
            yield f"{entry.file}: {entry.rows} networks fitted again, the same bytes as before"
            continue
        # another version or machine: other last bits, which zoo.json then says
        shards = [new if other.number == entry.number else other for other in header.shards]
        note = {"shard": entry.file, "was": asdict(entry), "versions": fit.versions()}
        header = _write(path, header, shards, note)
        yield f"{entry.file}: {new.rows} networks fitted again, other bytes than before (versions or machine differ)"


def _drop(path: Path, header: ZooHeader, damaged: list[ShardEntry]) -> Iterator[str]:
    numbers = {entry.number for entry in damaged}
    shards = [entry for entry in header.shards if entry.number not in numbers]
    if not shards:
        raise ZooError(f"every shard of {path} is damaged: nothing would be left")
    for entry in damaged:
        header = _write(path, header, shards, {"shard": entry.file, "was": asdict(entry), "dropped": entry.rows})
        (path / "shards" / entry.file).unlink(missing_ok=True)
        yield f"{entry.file}: {entry.rows} networks dropped"
    yield f"{header.rows} networks are left"


def _write(path: Path, header: ZooHeader, shards: list[ShardEntry], note: dict[str, Any]) -> ZooHeader:
    repairs = [*header.provenance.get("repairs", []), note]
    changed = replace(header, shards=shards, provenance={**header.provenance, "repairs": repairs})
    write_whole(path / FILE, changed.to_text().encode())
    return changed
