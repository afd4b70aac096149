"""The table of a study from its record alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from weightspace.errors import ConfigError, closest
from weightspace.runs.comparison import TITLES, Column
from weightspace.runs.metric_text import deviation, is_share, mean_text
from weightspace.studies.cells import Cell
from weightspace.studies.folds import whole_seeds
from weightspace.studies.interval import Difference
from weightspace.studies.pairs import paired_difference
from weightspace.studies.record import Record, Result
from weightspace.studies.study import Study
from weightspace.studies.worth import Worth, factor_text, worth_text


@dataclass(frozen=True)
class Entry:
    """A cell of the table: one variant in one column.

    Attributes:
        results: by seed.
        difference: to the baseline in the same column; None: it is the baseline, or no seed has both.
    """

    results: dict[int, Result]
    difference: Difference | None

    def values(self, metric: str) -> list[float]:
        """The metric by seed, where it was measured."""
        return [found.metrics[metric] for found in self.results.values() if metric in found.metrics]


#: The cells of a column of the baseline alone, in the rows of the others.
NOT_RUN = Entry({}, None)
#: Number of columns that can be read side by side.
READABLE = 12


def entries_of(study: Study, cells: Sequence[Cell], record: Record) -> dict[tuple[str, str], Entry]:
    """What is known of each (variant, column).

    Args:
        study: the study.
        cells: its runs.
        record: its results; those of other configurations are left out.
    """
    runs: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        runs.setdefault((cell.variant, cell.column), []).append(cell)
    known = {place: whole_seeds(study, group, record) for place, group in runs.items()}
    metric = study.metrics[0]
    return {
        (variant, column): Entry(
            results,
            None if variant == study.baseline else paired_difference(results, known[study.baseline, column], metric),
        )
        for (variant, column), results in known.items()
    }


def check_metrics(study: Study, record: Record) -> None:
    """Checks that each metric of a study has been measured.

    Raises:
        ConfigError: none of the recorded results has it.
    """
    known = {metric for result in record.results.values() for metric in result.metrics}
    for metric in study.metrics:
        if metric not in known:
            raise ConfigError(f"{study.path}: metrics: no run has measured {metric!r}: {closest(metric, known)}")


def tables_of(
    study: Study, entries: dict[tuple[str, str], Entry], worths: Mapping[tuple[str, str], Worth] | None = None
) -> dict[str, list[Column]]:
    """Tables for readers, by title: one without a title or, if it is too wide, one for each column of the study.

    Args:
        study, entries, worths: see ``columns_of``.
    """
    whole = columns_of(study, entries, worths)
    if sum(bool(column.texts) for column in whole) <= READABLE:
        return {"": whole}
    names = _names(study)
    return {column: [names, *_columns_in(study, column, "", entries, worths)] for column in study.every_column}


def columns_of(
    study: Study, entries: dict[tuple[str, str], Entry], worths: Mapping[tuple[str, str], Worth] | None = None
) -> list[Column]:
    """The columns of the table: variants, and for each column of the study its metrics and the difference.

    Args:
        study: the study.
        entries: see ``entries_of``.
        worths: see ``curve.worths_of``; with ``amounts``, columns have a factor of data, too.
    """
    columns = [_names(study)]
    for column in study.every_column:
        columns += _columns_in(study, column, f"{column}: " if column else "", entries, worths)
    return columns


def _names(study: Study) -> Column:
    names = list(study.variants)
    shown = [f"{name} (baseline)" if name == study.baseline else name for name in names]
    return Column("variant", names, shown, whole=True)


def _columns_in(
    study: Study,
    column: str,
    prefix: str,
    entries: dict[tuple[str, str], Entry],
    worths: Mapping[tuple[str, str], Worth] | None,
) -> list[Column]:
    """What a column of the study has, with a prefix of all titles."""
    names, (first, *others) = list(study.variants), study.metrics
    group = [entries.get((name, column), NOT_RUN) for name in names]
    columns = [*_metric(prefix, first, group), _seeds(prefix, group)]
    if len(study.variants_in(column)) > 1:
        columns += difference_columns(f"{prefix}difference", first, [entry.difference for entry in group])
        columns += _gap(prefix, study, names, group) if study.ceiling else []
        columns += _worths(prefix, [(worths or {}).get((name, column)) for name in names]) if study.amounts else []
    for metric in others:
        columns += _metric(prefix, metric, group)
    return columns


def _title(metric: str) -> str:
    return next((title for (_, key), title in TITLES.items() if key == metric), metric)


def _metric(prefix: str, metric: str, group: list[Entry]) -> list[Column]:
    values, title = [entry.values(metric) for entry in group], f"{prefix}{_title(metric)}"
    return [
        Column(title, [mean(found) if found else None for found in values], [mean_text(metric, v) for v in values]),
        Column(f"{title} deviation", list(map(deviation, values)), []),
    ]


def _seeds(prefix: str, group: list[Entry]) -> Column:
    counts = [None if entry is NOT_RUN else len(entry.results) for entry in group]
    return Column(f"{prefix}seeds", counts, ["" if count is None else str(count) for count in counts])


def difference_columns(title: str, metric: str, found: list[Difference | None]) -> list[Column]:
    """Columns of differences: one that is shown, with the intervals, and the numbers for files."""
    return [
        Column(title, [d and d.mean for d in found], [difference_text(d, metric) for d in found]),
        Column(f"{title} low", [d and d.low for d in found], []),
        Column(f"{title} high", [d and d.high for d in found], []),
    ]


def _gap(prefix: str, study: Study, names: list[str], group: list[Entry]) -> list[Column]:
    """The share of each variant of what the ceiling is above the baseline, in the means of the first metric."""
    known = {name: entry.values(study.metrics[0]) for name, entry in zip(names, group, strict=True)}
    ends = known[study.baseline], known[study.ceiling]
    if not all(ends) or mean(ends[0]) == mean(ends[1]):
        return []
    floor, top = map(mean, ends)
    shares = [(mean(values) - floor) / (top - floor) if values else None for values in known.values()]
    return [Column(f"{prefix}share of gap", shares, ["" if share is None else f"{share:.0%}" for share in shares])]


def _worths(prefix: str, found: list[Worth | None]) -> list[Column]:
    title = f"{prefix}worth"
    return [
        Column(title, [w and _number(w, w.factor) for w in found], list(map(worth_text, found))),
        Column(f"{title} low", [w and _number(w, w.low) for w in found], []),
        Column(f"{title} high", [w and _number(w, w.high) for w in found], []),
    ]


def _number(found: Worth, value: float | None) -> float | str | None:
    """A factor for files: a number, or, as text that cannot be taken for one, the bound beyond which it is."""
    return factor_text(found, value) if value in (0, float("inf")) else value


def difference_text(difference: Difference | None, metric: str) -> str:
    """As "+1.2 (0.3 to 2.1)": shares in points; "equal" if no pair differs; empty for None.

    >>> difference_text(Difference(0.012, 0.003, 0.021), "test/accuracy")
    '+1.2 (+0.3 to +2.1)'
    """
    if difference is None:
        return ""
    if difference.equal:
        return "equal"
    scale, digits = (100, 1) if is_share(metric) else (1, 3)
    mean_, low, high = (
        "" if value is None else f"{scale * value:+.{digits}f}"
        for value in (difference.mean, difference.low, difference.high)
    )
    return f"{mean_} ({low} to {high})" if low else mean_
