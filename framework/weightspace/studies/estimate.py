"""How long the runs of a study will take, from those that have ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from statistics import mean

from weightspace.studies.cells import Cell
from weightspace.studies.record import Record


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
    return [(cell, record.results[cell.key].seconds) for cell in cells if record.holds(cell)]


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
