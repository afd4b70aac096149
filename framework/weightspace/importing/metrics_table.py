"""Hyperparameters and results of the networks of the Small CNN Zoo: the file ``metrics.csv``, or ``metrics.csv.gz``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from weightspace.errors import ConfigError, ZooError, closest
from weightspace.importing.csv_table import CSVTable

#: Names of the file, of which there is one.
METRICS = ("metrics.csv", "metrics.csv.gz")
#: Of the columns with hyperparameters.
PREFIX = "config."
#: Rows of the file, and different values of a column that a message lists, at most.
MOST_ROWS, LISTED = 10_000_000, 12


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        values: its different entries.
        rows: (n,) place among them of the entry of each row.
    """

    values: list[str]
    rows: np.ndarray

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The values as numbers, NaN for one that is missing; None: some are texts, or all are missing."""
        found = [_number(text) if text else float("nan") for text in self.values]
        return None if None in found or not any(self.values) else np.array(found, dtype=np.float64)

    def counts(self, rows: np.ndarray) -> dict[str, int]:
        """How many of some rows have each value, the most frequent first."""
        counted = np.bincount(self.rows[rows], minlength=len(self.values)).tolist()
        found = {value: count for value, count in zip(self.values, counted, strict=True) if count}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def matching(self, wanted: str) -> np.ndarray:
        """(n,) bool: which rows have a value, as a text or as a number (0.50 is 0.5)."""
        number = _number(wanted) if self.numbers is not None else None
        same = [text == wanted or (number is not None and _number(text) == number) for text in self.values]
        return np.array(same, dtype=bool)[self.rows]


class Metrics:
    """The table: a row for each network.

    Args:
        path: the file.
        columns: its columns by name.
    """

    def __init__(self, path: Path, columns: Mapping[str, Column]) -> None:
        self.path, self.columns = path, columns

    def __getitem__(self, name: str) -> Column:
        """A column by its name, with or without ``config.`` before it.

        Raises:
            ZooError: there is no such column.
        """
        for known in (name, PREFIX + name):
            if known in self.columns:
                return self.columns[known]
        raise ZooError(f"{self.path} has no column {name!r}: {closest(name, map(short, filter(None, self.columns)))}")

    def select(self, where: Mapping[str, Any]) -> np.ndarray:
        """Numbers of the rows in which all of these columns have these values.

        Raises:
            ConfigError: ``where`` has another form.
            ZooError: an unknown column, a value that no row has, or no row that has all of them.
        """
        if not isinstance(where, Mapping) or not all(isinstance(name, str) for name in where):
            raise ConfigError(f"where: expected values by column, as {{'activation': 'relu'}}, found {where!r:.100}")
        chosen = np.ones(len(next(iter(self.columns.values())).rows), dtype=bool)
        for name, value in where.items():
            matching = self[name].matching(str(value))
            if not matching.any():
                raise ZooError(f"{self.path}: no network has {name} {str(value)!r}: {_known(self[name], str(value))}")
            chosen &= matching
        if not chosen.any():
            asked = ", ".join(f"{name}={value}" for name, value in where.items())
            raise ZooError(f"{self.path}: no network has all of {asked}" if where else f"{self.path} has no rows")
        return np.flatnonzero(chosen)


def read_metrics(root: Path, rows: int) -> Metrics:
    """Reads the table in a folder.

    Args:
        root: the folder.
        rows: how many networks there are.

    Raises:
        ZooError: it is missing, damaged, there twice, or has another number of rows.
    """
    there = [root / name for name in METRICS if (root / name).exists()]
    if len(there) != 1:
        raise ZooError(f"{root}: expected one of {' and '.join(METRICS)}, found {'both' if there else 'neither'}")
    table = CSVTable(there[0], (), MOST_ROWS)
    columns = _columns(table)
    found = len(next(iter(columns.values())).rows) if columns else 0
    if found != rows:
        raise ZooError(f"{there[0]} has {found} rows, and there are weights of {rows} networks: expected one for each")
    return Metrics(there[0], columns)


def short(name: str) -> str:
    """The name of a column without ``config.``."""
    return name.removeprefix(PREFIX)


def _columns(table: CSVTable) -> dict[str, Column]:
    """Each different entry is kept once: tables of millions of cells have few."""
    places: list[dict[str, int]] = [{} for _ in table.columns]

    def numbered() -> Iterator[list[int]]:
        for cells in table.rows(table.columns):
            yield [known.setdefault(cell, len(known)) for known, cell in zip(places, cells, strict=True)]

    width = len(table.columns)
    flat = np.fromiter((place for row in numbered() for place in row), dtype=np.int32).reshape(-1, width or 1)
    return {
        name: Column(list(known), flat[:, place].copy())
        for place, (name, known) in enumerate(zip(table.columns, places, strict=True))
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _known(column: Column, wanted: str) -> str:
    """What values there are, for a message."""
    if len(column.values) <= LISTED:
        return closest(wanted, column.values)
    if column.numbers is not None and np.isfinite(column.numbers).any():
        finite = column.numbers[np.isfinite(column.numbers)]
        return f"there are {len(column.values)} numbers from {finite.min():g} to {finite.max():g}"
    return f"there are {len(column.values)} values, as {', '.join(column.values[:3])}"
