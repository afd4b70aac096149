"""Runs that were made without a study, compared with those of one experiment as a study compares its variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from weightspace.errors import ConfigError, closest
from weightspace.runs.comparison import Column, by_experiment, compare
from weightspace.runs.folder import RunFolder
from weightspace.studies.collecting import result_of
from weightspace.studies.pairs import COUNTED, difference_of, paired_values
from weightspace.studies.record import Result
from weightspace.studies.table import difference_columns

#: Largest difference of an accuracy that was measured in float32 to the share of right answers in ``predictions.csv``.
ROUNDING = 1e-5


def compare_with(folders: list[RunFolder], baseline: str, asked: list[str] | None = None) -> list[Column]:
    """Compares experiments: means over their runs, and the paired difference of the first metric to one of them.

    Pairs are the runs of the same seed, that is of the same folder's name; and test networks, where the metric is
    ``test/accuracy`` and all runs of both have predicted the same ones.

    Args:
        folders: folders of the runs.
        baseline: the experiment with which the others are compared: its folder, as the table names it or by a path.
        asked: keys of metrics, see ``compare``.

    Raises:
        ConfigError: the baseline is none of the experiments, no run has a metric, or a file is damaged.
    """
    groups = by_experiment(folders)
    name = _named(baseline, groups)

    def differences(command: str, key: str) -> list[Column]:
        results = {experiment: _by_seed(runs, command) for experiment, runs in groups.items()}
        others = [None if one == name else paired_values(results[one], results[name], key) for one in groups]
        found = [None if values is None else difference_of(values) for values in others]
        pairs = ["" if one == name else pairs_text(values) for one, values in zip(groups, others, strict=True)]
        return [*difference_columns("difference", key, found), Column("pairs", list(pairs), pairs)]

    names, *others = compare(folders, asked, average=True, beside=differences)
    texts = [f"{text} (baseline)" if text == name else text for text in names.texts]
    return [replace(names, texts=texts), *others]


def pairs_text(differences: np.ndarray | None) -> str:
    """What paired differences are over, see ``paired_values``.

    >>> pairs_text(np.zeros((3, 1000))), pairs_text(np.zeros(1)), pairs_text(None)
    ('3 seeds, 1,000 objects', '1 seed', 'no pairs')
    """
    if differences is None:
        return "no pairs"
    seeds, *objects = differences.shape
    return ", ".join([f"{seeds} {'seed' if seeds == 1 else 'seeds'}", *(f"{count:,} objects" for count in objects)])


def _named(baseline: str, groups: Mapping[str, list[RunFolder]]) -> str:
    """The experiment that is meant."""
    if baseline in groups:
        return baseline
    for name in groups:
        if Path(name).resolve() == Path(baseline).resolve():
            return name
    raise ConfigError(f"baseline {baseline}: it is none of the experiments that are shown: {closest(baseline, groups)}")


def _by_seed(runs: list[RunFolder], command: str) -> dict[str, Result]:
    return {run.path.resolve().name: _with_answers_of_its_test(result_of(run, (command,))) for run in runs}


def _with_answers_of_its_test(result: Result) -> Result:
    """The result; without single answers if ``predictions.csv`` has those of another checkpoint or split."""
    right = result.right()
    if right is None or abs(right.mean() - result.metrics.get(COUNTED, -1.0)) <= ROUNDING:
        return result
    return replace(result, correct="")
