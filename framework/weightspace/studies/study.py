"""A study as its YAML file describes it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from weightspace.errors import ConfigError, closest
from weightspace.files import read_regular
from weightspace.files.safe_yaml import load_yaml, repeated_key
from weightspace.studies.amounts import check_amounts
from weightspace.studies.overrides import filled, merged, undotted

#: Largest size of a study's file in bytes.
LIMIT = 1_000_000
KEYS = (
    *("title", "base", "overrides", "seeds", "metrics", "baseline", "variants", "columns", "zoos", "encoders"),
    *("tested", "baseline_columns", "amounts"),
)
METRICS = ("test/accuracy",)
#: Keys that the study gives to each run.
GIVEN = ("experiment", "runs", "ckpt_path", "overwrite", "auto_resume")
#: Largest seed of the generators of numpy.
LARGEST_SEED = 2**32 - 1
#: Names are parts of the paths of runs.
LONGEST_NAME = 200
_NAME = re.compile(r"[\w][\w .,+=%()-]*")


@dataclass(frozen=True)
class Study:
    """A table of runs: each variant in each column with each seed.

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
        tested: whether runs are tested and predict after training; a contrastive task can do neither.
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

    def changes(self, variant: str, column: str) -> dict[str, Any]:
        """All changes of the base in one cell of the table, nested: those of the variant are above the column's."""
        changes = merged(merged(self.overrides, self.every_column[column]), self.variants[variant])
        return filled(changes, {"variant": variant, "column": column})


def read_study(path: Path) -> Study:
    """Reads a study.

    Args:
        path: the YAML file.

    Raises:
        ConfigError: the file cannot be read, or a value of it is not what its key needs.
    """
    content = _content(path)
    unknown = [key for key in content if key not in KEYS]
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}: {closest(str(unknown[0]), KEYS)}")
    for key in ("base", "seeds", "variants"):
        if key not in content:
            raise ConfigError(f"{path}: {key} is missing: a study has a base, seeds and variants")
    base = Path(os.path.normpath(path.parent / _text(path, content, "base")))
    if not base.is_file():
        raise ConfigError(f"{path}: there is no base {base}: its path is relative to the study")
    variants = _named_changes(path, content, "variants")
    baseline = _text(path, content, "baseline", next(iter(variants)))
    if baseline not in variants:
        raise ConfigError(f"{path}: the baseline {baseline!r} is no variant: {closest(baseline, variants)}")
    overrides = undotted(_mapping(path, content.get("overrides"), "overrides"), f"{path}: overrides")
    _check_free(f"{path}: overrides", overrides)
    columns, baseline_columns = _columns(path, content)
    metrics = _metrics(path, content.get("metrics", list(METRICS)))
    amounts = _text(path, content, "amounts", "")
    if amounts:
        check_amounts(str(path), [*columns, *baseline_columns], metrics)
    return Study(
        path=path,
        title=_text(path, content, "title", ""),
        base=base,
        overrides=overrides,
        seeds=_seeds(path, content["seeds"]),
        metrics=metrics,
        baseline=baseline,
        variants=variants,
        columns=columns,
        baseline_columns=baseline_columns,
        amounts=amounts,
        zoos=_commands(path, content, "zoos", "fit --source digits"),
        encoders=_commands(path, content, "encoders", "fit -c pretrain.yaml"),
        tested=_truth(path, content, "tested", True),
    )


def _content(path: Path) -> Mapping[str, Any]:
    try:
        text = read_regular(path, LIMIT).decode()
        content, repeated = load_yaml(text), repeated_key(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if repeated is not None:
        raise ConfigError(f"{path}: the key {repeated!r} is there twice: give one of them another name")
    return _mapping(path, content, "a study")


def _mapping(path: Path, value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}: {what} should be a mapping, found {value!r:.60}")
    return value


def _text(path: Path, content: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = content.get(key, default)
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {key} should be a text, found {value!r:.60}")
    return value


def _truth(path: Path, content: Mapping[str, Any], key: str, default: bool) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{path}: {key} should be true or false, found {value!r:.60}")
    return value


def _named_changes(path: Path, content: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    found = {}
    for name, changes in _mapping(path, content[key], key).items():
        if not _NAME.fullmatch(str(name)) or len(str(name).encode()) > LONGEST_NAME:
            raise ConfigError(
                f"{path}: {key}: {str(name)!r:.60} cannot be a folder's name: up to {LONGEST_NAME} letters, digits and "
                "_ - + , . = % ( ), of which the first is a letter, a digit or _"
            )
        where = f"{path}: {key}: {name}"
        found[str(name)] = undotted(_mapping(path, changes, f"{key}: {name}"), where)
        _check_free(where, found[str(name)])
    if not found:
        raise ConfigError(f"{path}: {key} has no entries")
    return found


def _columns(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The columns with all variants, and those with the baseline alone."""
    columns = _named_changes(path, content, "columns") if content.get("columns") else {"": {}}
    if not content.get("baseline_columns"):
        return columns, {}
    if "" in columns:
        raise ConfigError(f"{path}: baseline_columns are further columns: give columns, too")
    alone = _named_changes(path, content, "baseline_columns")
    twice = [name for name in alone if name in columns]
    if twice:
        raise ConfigError(f"{path}: {twice[0]!r} is in columns and in baseline_columns: leave it out of one of them")
    return columns, alone


def _check_free(where: str, changes: Mapping[str, Any]) -> None:
    """Raises ConfigError if changes state what the study itself gives to each run."""
    if "seed_everything" in changes:
        raise ConfigError(f"{where}: seeds are a list of their own")
    given = [key for key in GIVEN if key in changes]
    if given:
        raise ConfigError(f"{where}: {given[0]} is given by the study: leave it out")


def _seeds(path: Path, value: Any) -> tuple[int, ...]:
    known = isinstance(value, list) and value and all(type(seed) is int and 0 <= seed <= LARGEST_SEED for seed in value)
    if not known:
        raise ConfigError(f"{path}: seeds should be a list of integers in 0..{LARGEST_SEED}, found {value!r:.60}")
    twice = [seed for seed in value if value.count(seed) > 1]
    if twice:
        raise ConfigError(f"{path}: seed {twice[0]} is given twice")
    return tuple(value)


def _metrics(path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{path}: metrics should be a list of keys like test/accuracy, found {value!r:.60}")
    twice = [key for key in value if value.count(key) > 1]
    if twice:
        raise ConfigError(f"{path}: the metric {twice[0]} is given twice")
    return tuple(value)


def _commands(path: Path, content: Mapping[str, Any], key: str, example: str) -> dict[str, str]:
    """The arguments of commands by what they make."""
    found = _mapping(path, content.get(key), key)
    for made, arguments in found.items():
        try:
            known = isinstance(arguments, str) and bool(shlex.split(arguments))
        except ValueError:  # a quote that nothing ends
            known = False
        if not known:
            raise ConfigError(f"{path}: {key}: {made}: expected text like `{example}`, found {arguments!r:.60}")
    return {str(made): arguments for made, arguments in found.items()}
