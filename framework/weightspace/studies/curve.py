"""The factors of data of a study whose columns are amounts, from its results."""

from __future__ import annotations

from collections.abc import Mapping

from weightspace.studies.amounts import amount
from weightspace.studies.pairs import values_of
from weightspace.studies.study import Study
from weightspace.studies.table import Entry
from weightspace.studies.worth import Worth, worth


def worths_of(study: Study, entries: Mapping[tuple[str, str], Entry]) -> dict[tuple[str, str], Worth]:
    """What each variant is worth in each column, from the seeds that it shares with all of the baseline's curve.

    The curve has the columns in which the baseline has a result.

    Args:
        study: the study; without ``amounts`` there are none.
        entries: of its table.
    """
    metric = study.metrics[0]
    known = {
        place: {seed: result for seed, result in entry.results.items() if metric in result.metrics}
        for place, entry in entries.items()
    }
    curve = [column for column in study.every_column if study.amounts and known[study.baseline, column]]
    curve.sort(key=amount)
    found = {}
    for (variant, column), results in known.items():
        rows = [*(known[study.baseline, name] for name in curve), results]
        seeds = [seed for seed in study.seeds if all(seed in row for row in rows)]
        if variant != study.baseline and len(curve) > 1 and seeds:
            values = values_of([row[seed] for row in rows for seed in seeds], metric)
            table = values.reshape(len(rows), len(seeds), *values.shape[1:])
            found[variant, column] = worth([*map(amount, curve)], amount(column), table[:-1], table[-1])
    return found
