"""Hyperparameters and results of trainings as columns of quality, named as those of the source ``cnns``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weightspace.errors import ZooError
from weightspace.files.names import in_order
from weightspace.importing.metrics_table import PREFIX, Column, Metrics, short
from weightspace.sources.cnns import CNNSource

#: Columns with results, and those that say how far a training is.
RESULTS = ("test_accuracy", "train_accuracy", "test_loss", "train_loss")
PROGRESS = ("step", "epoch")
#: What the source ``cnns`` calls by another name.
NAMES = {"optimizer": "optimiser", "train_fraction": "fraction"}
#: Different texts of a column of hyperparameters at most: paths are not kept.
MOST_NAMES = 100


@dataclass(frozen=True)
class TrainingColumns:
    """Columns of quality.

    Args:
        names: of the columns.
        values: (n, Q) float32 for all rows of the table; NaN where there is no number.
        notes: for a zoo's provenance: ``codes``, the texts that numbers of a column stand for, and ``same``, the
            hyperparameters that all selected networks share.
    """

    names: tuple[str, ...]
    values: np.ndarray
    notes: dict[str, Any]


def training_columns(metrics: Metrics, rows: np.ndarray) -> TrainingColumns:
    """Results, then progress, then the hyperparameters (columns ``config.``) in which the selected rows differ.

    The codes of texts are those of the whole table, so that they do not depend on what is selected.

    Args:
        metrics: the table.
        rows: numbers of the selected rows.

    Raises:
        ZooError: a column of results holds no numbers.
    """
    columns: dict[str, np.ndarray] = {}
    codes: dict[str, list[str]] = {}
    same: dict[str, str] = {}
    hyperparameters = [name for name in metrics.columns if name.startswith(PREFIX)]
    for name in [*(name for name in (*RESULTS, *PROGRESS) if name in metrics.columns), *hyperparameters]:
        column, called = metrics.columns[name], _called(name)
        differing = column.counts(rows)
        if len(differing) == 1 and name in hyperparameters:
            same[called] = next(iter(differing))
        elif column.numbers is None and name not in hyperparameters:
            raise ZooError(f"{metrics.path}: expected numbers in column {name}, found {column.values[0]!r}")
        elif column.numbers is not None:
            columns[called] = column.numbers[column.rows]
        elif len(column.values) <= MOST_NAMES:
            codes[called] = _codes(called, column)
            columns[called] = np.array([codes[called].index(value) for value in column.values])[column.rows]
    with np.errstate(over="ignore"):
        values = np.stack([found.astype(np.float32) for found in columns.values()], axis=1)
    notes = {name: said for name, said in (("codes", codes), ("same", same)) if said}
    return TrainingColumns(tuple(columns), values, notes)


def _called(name: str) -> str:
    return NAMES.get(short(name), short(name).replace("_", " "))


def _codes(name: str, column: Column) -> list[str]:
    """The texts in the order of their numbers: first those that ``cnns`` numbers."""
    known = CNNSource.codes.get(name, [])
    return [*known, *(text for text in in_order(column.values) if text not in known)]
