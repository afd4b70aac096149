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
        [seconds for other, seconds in ended if other.place == cell.place],
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
    folds = f" x {study.folds} folds" if study.folds else ""
    lines = [f"{title}: {len(study.variants)} variants{columns}{more} x {len(study.seeds)} seeds{folds}"]
    for place in dict.fromkeys(cell.place for cell in cells):
        left = [cell for cell in missing if cell.place == place]
        lines.append(f"  {place}: {f'{_runs_text(left)} to do' if left else 'done'}")
    time = time_left(missing, ended_runs(cells, record), workers)
    return "\n".join([*lines, f"{len(missing)} of {len(cells)} runs to do, {workers} at a time; time: {time}"])


def _runs_text(cells: Sequence[Cell]) -> str:
    """Some runs of one place by their seeds, or by the folds of each seed.

    >>> _runs_text([Cell("none", "", seed, "") for seed in (0, 2)])
    'seeds 0, 2'
    >>> _runs_text([Cell("none", "", seed, "", fold) for seed, fold in ((0, 3), (0, 4), (1, 0))])
    'seed 0: folds 3, 4; seed 1: folds 0'
    """
    seeds: dict[int, list[str]] = {}
    for cell in cells:
        seeds.setdefault(cell.seed, []).append(str(cell.fold))
    if cells[0].fold is None:
        return f"seeds {', '.join(map(str, seeds))}"
    return "; ".join(f"seed {seed}: folds {', '.join(folds)}" for seed, folds in seeds.items())
