"""A study as its YAML file describes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightspace.errors import ConfigError, closest
from weightspace.studies.amounts import check_amounts
from weightspace.studies.overrides import check_placeholders, filled, leaves, merged
from weightspace.studies.study_file import StudyFile

METRICS = ("test/accuracy",)


@dataclass(frozen=True)
class Study:
    """A table of runs: each variant in each column with each seed, and on each fold if there are folds.

    Attributes:
        path: its YAML file.
        title: what the table shows; may be empty.
        base: the experiment that all runs start from.
        overrides: changes of the base that all runs share.
        seeds: values of ``seed_everything``.
        metrics: keys of ``metrics.json``, the first of which is compared with the baseline.
        baseline: the variant with which the others are compared.
        variants: changes by name: the rows of the table.
        columns: changes by name: the columns; without any, one that has no name.
        baseline_columns: changes by name: further columns, in which the baseline alone is run.
        amounts: of what the names of columns are amounts, as "training objects"; empty: they are no amounts.
        zoos: arguments of ``weightspace zoo`` that make a zoo, without ``--out``, by its path.
        encoders: arguments of ``weightspace`` that make encoders, by a pattern of their paths ("runs/pretrain/*").
        ceiling: the variant that has all that there is to gain over the baseline, of which the table then shows each
            variant's share; empty: there is none.
        tested: whether runs are tested and predict after training; a contrastive task can do neither.
        folds: number of folds of the data, each of which is tested once; 0: the zoo's own splits.
    """

    path: Path
    title: str
    base: Path
    overrides: dict[str, Any]
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    baseline: str
    variants: dict[str, dict[str, Any]]
    columns: dict[str, dict[str, Any]]
    baseline_columns: dict[str, dict[str, Any]]
    amounts: str
    zoos: dict[str, str]
    encoders: dict[str, str]
    tested: bool
    folds: int = 0
    ceiling: str = ""

    @property
    def each_fold(self) -> list[int] | list[None]:
        """The folds of each seed; of a study without folds, the one run that is not of any."""
        return list(range(self.folds)) or [None]

    @property
    def name(self) -> str:
        """Name of its file without the suffix."""
        return self.path.stem

    @property
    def record_file(self) -> Path:
        """The file with its results, beside its own."""
        return self.path.with_suffix(".study.json")

    @property
    def every_column(self) -> dict[str, dict[str, Any]]:
        """Columns with all variants, then those of the baseline alone."""
        return {**self.columns, **self.baseline_columns}

    def variants_in(self, column: str) -> list[str]:
        """The variants that are run in a column: all, or the baseline alone."""
        return list(self.variants) if column in self.columns else [self.baseline]

    def changes(
        self, variant: str, column: str, fold: int | None = None, base: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """All changes of the base in one cell of the table, nested: those of the variant are above the column's.

        Args:
            variant, column: the place of the cell.
            base: the base's configuration, by whose classes it is known which ``init_args`` another class replaces.
            fold: number that stands for ``{fold}``; None: in a study with folds, the word stays as it is.

        Raises:
            ConfigError: a text has a misspelt ``{variant}``, ``{column}``, or, in a study with folds, ``{fold}``.
        """
        changes = merged(merged(self.overrides, self.every_column[column], base), self.variants[variant], base)
        names = {"variant": variant, "column": column}
        if self.folds:
            names["fold"] = "{fold}" if fold is None else str(fold)
        check_placeholders(changes, names, f"{self.path}: {variant}")
        return filled(changes, names)

    @property
    def names_folds(self) -> bool:
        """Whether what its runs read depends on their fold: a change has ``{fold}``."""
        changes = (self.overrides, *self.every_column.values(), *self.variants.values())
        return bool(self.folds) and any("{fold}" in str(change) for change in changes)


def read_study(path: Path) -> Study:
    """Reads a study.

    Args:
        path: the YAML file.

    Raises:
        ConfigError: the file cannot be read, or a value of it is not what its key needs.
    """
    file = StudyFile(path)
    base = Path(os.path.normpath(path.parent / file.text("base")))
    if not base.is_file():
        raise ConfigError(f"{path}: there is no base {base}: its path is relative to the study")
    variants = file.named_changes("variants")
    baseline = file.text("baseline", next(iter(variants)))
    if baseline not in variants:
        raise ConfigError(f"{path}: the baseline {baseline!r} is no variant: {closest(baseline, variants)}")
    ceiling = file.text("ceiling", "")
    if ceiling and (ceiling not in variants or ceiling == baseline):
        why = "the baseline" if ceiling == baseline else f"no variant: {closest(ceiling, variants)}"
        raise ConfigError(f"{path}: the ceiling {ceiling!r} is {why}")
    overrides = file.changes("overrides")
    columns, baseline_columns = _columns(file)
    metrics, amounts = file.metrics(METRICS), file.text("amounts", "")
    tested = file.truth("tested", True)
    of_tests = [metric for metric in metrics if metric.startswith(("test/", "internal_test/"))]
    if of_tests and not tested:
        raise ConfigError(
            f"{path}: tested: false: runs that are only trained have no {of_tests[0]}: "
            "give metrics of training, such as val/loss"
        )
    if amounts:
        check_amounts(str(path), [*columns, *baseline_columns], metrics)
    return Study(
        path=path,
        title=file.text("title", ""),
        base=base,
        overrides=overrides,
        seeds=file.seeds(),
        metrics=metrics,
        baseline=baseline,
        variants=variants,
        columns=columns,
        baseline_columns=baseline_columns,
        amounts=amounts,
        zoos=file.commands("zoos", "fit --source digits"),
        encoders=file.commands("encoders", "fit -c pretrain.yaml"),
        tested=tested,
        ceiling=ceiling,
        folds=_folds(file, overrides, *variants.values(), *columns.values(), *baseline_columns.values()),
    )


def _folds(file: StudyFile, *changes: dict[str, Any]) -> int:
    """The number of folds, which no change states, too; 0: none."""
    folds = file.folds()
    stated = {key for change in changes for key in leaves(change)} & {"data.folds", "data.fold"}
    if folds and stated:
        raise ConfigError(f"{file.path}: {min(stated)} is given by the study, since it has folds: leave it out")
    return folds


def _columns(file: StudyFile) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The columns with all variants, and those with the baseline alone."""
    none: tuple[Any, ...] = (None, {})
    columns = {"": {}} if file.content.get("columns") in none else file.named_changes("columns")
    if file.content.get("baseline_columns") in none:
        return columns, {}
    if "" in columns:
        raise ConfigError(f"{file.path}: baseline_columns are further columns: give columns, too")
    alone = file.named_changes("baseline_columns")
    twice = [name for name in alone if name in columns]
    if twice:
        raise ConfigError(
            f"{file.path}: {twice[0]!r} is in columns and in baseline_columns: leave it out of one of them"
        )
    return columns, alone
