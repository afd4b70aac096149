"""The plan of a study: which runs are left, and how long they will take, from those that have ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from statistics import mean

from weightspace.studies.cells import Cell
from weightspace.studies.record import Record
from weightspace.studies.study import Study


def seconds_of(cell: Cell, ended: Sequence[tuple[Cell, float]]) -> float | None:
    """Seconds that a run will take: the mean of the ended runs that are most like it; None: there are none.

    Args:
        cell: the run.
        ended: runs with their seconds.
    """
    for alike in (
        [seconds for other, seconds in ended if other.experiment == cell.experiment],
        [seconds for other, seconds in ended if other.column == cell.column],
        [seconds for _, seconds in ended],
    ):
        if alike:
            return mean(alike)
    return None


def ended_runs(cells: Iterable[Cell], record: Record) -> list[tuple[Cell, float]]:
    """The runs whose results are recorded, with their seconds."""
    results = [(cell, record.results[cell.key]) for cell in cells if record.holds(cell)]
    return [(cell, max(result.whole, result.seconds)) for cell, result in results]


def time_left(missing: Sequence[Cell], ended: Sequence[tuple[Cell, float]], workers: int) -> str:
    """The time that the missing runs take, as "about 1:20:00"; says so if nothing is known.

    Args:
        missing: runs that are left.
        ended: runs that have ended, with their seconds.
        workers: runs at a time.
    """
    seconds = [found for cell in missing if (found := seconds_of(cell, ended)) is not None]
    if missing and not seconds:
        return "unknown until a run has ended"
    # no run is shorter than the longest one
    return f"about {timedelta(seconds=round(max(sum(seconds) / workers, max(seconds, default=0.0))))}"


def plan_text(study: Study, cells: Sequence[Cell], missing: Sequence[Cell], record: Record, workers: int) -> str:
    """Lines that say which runs are left.

    Args:
        study: the study.
        cells: all its runs.
        missing: runs that are left.
        record: results of the others.
        workers: runs at a time.
    """
    columns = f" x {len(study.columns)} columns" if len(study.columns) > 1 else ""
    more = f", and {len(study.baseline_columns)} of {study.baseline} alone," if study.baseline_columns else ""
    title = study.title or study.name
    lines = [f"{title}: {len(study.variants)} variants{columns}{more} x {len(study.seeds)} seeds"]
    for experiment in dict.fromkeys(cell.experiment for cell in cells):
        left = [str(cell.seed) for cell in missing if cell.experiment == experiment]
        lines.append(f"  {experiment}: {'seeds ' + ', '.join(left) + ' to do' if left else 'done'}")
    time = time_left(missing, ended_runs(cells, record), workers)
    return "\n".join([*lines, f"{len(missing)} of {len(cells)} runs to do, {workers} at a time; time: {time}"])
