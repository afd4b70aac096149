"""Repairing a zoo with damaged shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from weightspace.distributed.device import choose_device
from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.fitting.choose import choose_fitter, description
from weightspace.fitting.job import ZooFit, ZooPlan
from weightspace.fitting.origin import describe_arguments, recipe_of, refuse_origin, source_of
from weightspace.zoo.header import FILE, ShardEntry, ZooHeader
from weightspace.zoo.lock import ZooLock
from weightspace.zoo.shard import check_shard, write_shard


def damaged_shards(path: Path, header: ZooHeader) -> list[tuple[ShardEntry, str]]:
    """The shards that are missing or differ from ``zoo.json``, each with the reason."""
    found = []
    for entry in header.shards:
        try:
            check_shard(path, entry, header)
        except (ZooError, OSError) as error:
            found.append((entry, str(error)))
    return found


def repair_zoo(
    zoo: str | Path, drop: bool = False, path: str | None = None, source: str | None = None
) -> Iterator[str]:
    """Fits the networks of damaged shards again, or drops them. Other shards are not changed.

    Args:
        zoo: folder of a zoo whose ``zoo.json`` is intact.
        drop: leave these networks out instead.
        path: folder of the source's files, if they have moved.
        source: dotted path of the source, required if the zoo names one, since it is not imported otherwise.

    Yields:
        One line per step; each step is done when its line is requested.

    Raises:
        ConfigError: path or source was given but has no effect.
        ZooError: ``zoo.json`` is damaged, the zoo cannot be written, nothing would be left, or its networks were not
            made by ``fit_zoo``.
        SourceError: the source cannot be found, or is not that of the fit.
    """
    if drop:
        refuse_origin(path, source, " with drop, which needs no source: leave one of them out")
    folder = Path(zoo).expanduser()
    lock, header = ZooLock(folder), ZooHeader.read(folder)
    try:
        (folder / "shards").mkdir(exist_ok=True)
        lock.acquire()
        damaged = damaged_shards(folder, header)
        for _, reason in damaged:
            yield f"damaged: {reason}"
        entries = [entry for entry, _ in damaged]
        if not damaged:
            yield f"nothing to repair: all {len(header.shards)} shards are intact"
        elif drop:
            yield from _drop(folder, header, entries)
        else:
            yield from _refit(folder, header, entries, path, source)
    except OSError as error:
        raise ZooError(f"the zoo at {folder} cannot be repaired: {error.strerror or error}") from error
    finally:
        lock.release()


def _check_plan(path: Path, header: ZooHeader) -> None:
    """Raises ZooError if the shards do not match the plan, or what is left of it after dropping some."""
    made = header.provenance
    planned = ZooPlan(**made["plan"]).shards if "plan" in made else 0
    dropped = {int(Path(note["shard"]).stem) for note in made.get("repairs", []) if "dropped" in note}
    numbers = dropped | {entry.number for entry in header.shards}
    if (planned, len(numbers)) != (max(numbers) + 1,) * 2:
        raise ZooError(
            f"{path / FILE} has the plan of {planned} shards, but lists {len(numbers)} up to number {max(numbers)}: "
            "they cannot be made again, only dropped (drop)"
        )


def _check_fit(path: Path, header: ZooHeader, made: ZooHeader) -> None:
    """Raises ZooError if the job described in the provenance would make other networks than those of the zoo."""
    for what, there, again in (
        ("networks", str(header.spec), str(made.spec)),
        ("qualities", header.quality, made.quality),
        ("targets", header.target, made.target),
    ):
        if there != again:
            raise ZooError(
                f"{path / FILE} lists {what} {there}, but its source and recipe make {again}: they cannot be made "
                "again, only dropped (drop)"
            )


def _refit(
    path: Path, header: ZooHeader, damaged: list[ShardEntry], files: str | None, source: str | None
) -> Iterator[str]:
    made = header.provenance
    if "source" not in made:
        raise ZooError(f"the networks of {path} were not fitted here: import them again, or drop them (drop)")
    _check_plan(path, header)
    device = choose_device(made.get("device", "cpu"))
    yield from describe_arguments(header, files)
    objects = source_of(path, header, files, source)
    mode = made.get("mode", "eager")
    fitter = choose_fitter(recipe_of(path, header), objects, header.rows, mode, device, mode)
    yield description(fitter)
    fit = ZooFit(objects, ZooPlan(**made["plan"]), fitter, path)
    _check_fit(path, header, fit.writer.header)
    fit.fitter.compile()
    for entry in damaged:
        new = write_shard(path, entry.number, fit.shard(entry.number))
        if new == entry:
            yield f"{entry.file}: {entry.rows} networks fitted again, the same bytes as before"
            continue
        # another version or machine changes the last bits, which zoo.json then records
        shards = [new if other.number == entry.number else other for other in header.shards]
        note = {"shard": entry.file, "was": asdict(entry), "versions": fit.versions()}
        header = _write(path, header, shards, [note])
        yield f"{entry.file}: {new.rows} networks fitted again, other bytes than before (versions or machine differ)"


def _drop(path: Path, header: ZooHeader, damaged: list[ShardEntry]) -> Iterator[str]:
    numbers = {entry.number for entry in damaged}
    shards = [entry for entry in header.shards if entry.number not in numbers]
    if not shards:
        raise ZooError(f"every shard of {path} is damaged: nothing would be left")
    notes = [{"shard": entry.file, "was": asdict(entry), "dropped": entry.rows} for entry in damaged]
    header = _write(path, header, shards, notes)  # at once: none is forgotten by a process that is cut
    for entry in damaged:
        (path / "shards" / entry.file).unlink(missing_ok=True)
        yield f"{entry.file}: {entry.rows} networks dropped"
    yield f"{header.rows} networks are left"


def _write(path: Path, header: ZooHeader, shards: list[ShardEntry], notes: list[dict[str, Any]]) -> ZooHeader:
    repairs = [*header.provenance.get("repairs", []), *notes]
    changed = replace(header, shards=shards, provenance={**header.provenance, "repairs": repairs})
    write_whole(path / FILE, changed.to_text().encode())
    return changed
