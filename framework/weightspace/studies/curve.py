"""The factors of data of a study whose columns are amounts, from its results."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan

from weightspace.studies.amounts import amount
from weightspace.studies.pairs import values_of
from weightspace.studies.study import Study
from weightspace.studies.table import Entry
from weightspace.studies.worth import Worth, worth


def worths_of(study: Study, entries: Mapping[tuple[str, str], Entry]) -> dict[tuple[str, str], Worth]:
    """What each variant is worth in each column, from the seeds that it shares with the baseline there.

    The curve has the columns in which the baseline has all these seeds: one that is still being run does not take seeds
    away from the others. Runs whose metric is no number (nan) count as not run.

    Args:
        study: the study; without ``amounts`` there are none.
        entries: of its table.
    """
    metric = study.metrics[0]
    known = {
        place: {seed: run for seed, run in entry.results.items() if isfinite(run.metrics.get(metric, nan))}
        for place, entry in entries.items()
    }
    baseline = {name: known[study.baseline, name] for name in study.every_column}
    found = {}
    for (variant, column), results in known.items():
        if not study.amounts or variant == study.baseline:
            continue
        seeds = [seed for seed in study.seeds if seed in results and seed in baseline[column]]
        curve = sorted((name for name, runs in baseline.items() if runs.keys() >= set(seeds)), key=amount)
        rows = [*(baseline[name] for name in curve), results]
        if len(curve) > 1 and seeds:
            values = values_of([row[seed] for row in rows for seed in seeds], metric)
            table = values.reshape(len(rows), len(seeds), *values.shape[1:])
            found[variant, column] = worth([*map(amount, curve)], amount(column), table[:-1], table[-1])
    return found
