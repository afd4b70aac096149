"""Zoos and encoders that were made anew since a study has recorded results of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from weightspace.runs.origin import KINDS, digest_there, kind_of, origin_there
from weightspace.studies.cells import Cell
from weightspace.studies.record import Record, Result

#: Paths of what the runs of an experiment read, by key ("zoo", "zoo 2", "test_zoo", "encoder"), see ``numbered``.
Inputs = Mapping[str, str]


def remade(cells: Iterable[Cell], record: Record, inputs: Mapping[str, Inputs]) -> dict[Cell, str]:
    """The cells whose results are of a zoo or an encoder that is made in another way now, each with its path.

    Args:
        cells: runs.
        record: their results. One that does not say what it has read is taken as it is.
        inputs: by the experiment of the cells.

    Raises:
        ZooError: a zoo is damaged.
        ConfigError: a run's folder has no encoder.
    """
    paths = {(kind, path) for read in inputs.values() for kind, path in read.items()}
    there = {path: origin_there(*path) for path in sorted(paths)}
    found = {}
    for cell in cells:
        for kind, path in inputs[cell.experiment].items():
            origin = record.results[cell.key].origins.get(kind) if record.holds(cell) else None
            now = there[kind, path]
            if origin is not None and now is not None and not now.made_like(origin):
                found[cell] = path
    return found


def other_makings(results: Iterable[Result]) -> list[str]:
    """Lines that say how many results are of another making of a zoo or an encoder than the one that is there now.

    Where nothing is there, the others are compared with the one of which most results are. Such results can be
    compared if both were made in the same way; fits differ in their last bits by machine and version.

    Args:
        results: of a study.
    """
    lines = []
    results = list(results)
    for kind in KINDS:
        origins = [origin for result in results for key, origin in result.origins.items() if kind_of(key) == kind]
        for path in sorted({origin.path for origin in origins}):
            here = [origin for origin in origins if origin.path == path]
            counts = Counter(origin.digest for origin in here)
            now = digest_there(here[0], kind)
            usual = counts.most_common(1)[0][0] if now is None else now
            if others := len(here) - counts[usual]:
                than = f"the other {counts[usual]}" if now is None else "the one that is there"
                lines.append(f"{others} of {len(here)} results are of another making of {path} than {than}")
    return lines
