"""A study as its YAML file describes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from weightspace.errors import ConfigError, closest
from weightspace.files import read_regular
from weightspace.files.safe_yaml import load_yaml, repeated_key
from weightspace.studies.overrides import merged, undotted

#: Largest size of a study's file in bytes.
LIMIT = 1_000_000
KEYS = ("title", "base", "overrides", "seeds", "metrics", "baseline", "variants", "columns", "zoos")
METRICS = ("test/accuracy",)
#: Names are parts of the paths of runs.
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
        zoos: arguments of ``weightspace zoo`` that make a zoo, without ``--out``, by its path.
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
    zoos: dict[str, str]

    @property
    def name(self) -> str:
        """Name of its file without the suffix."""
        return self.path.stem

    @property
    def record_file(self) -> Path:
        """The file with its results, beside its own."""
        return self.path.with_suffix(".study.json")

    def changes(self, variant: str, column: str) -> dict[str, Any]:
        """All changes of the base in one cell of the table, nested: those of the variant are above the column's."""
        return merged(merged(self.overrides, self.columns[column]), self.variants[variant])


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
    return Study(
        path=path,
        title=_text(path, content, "title", ""),
        base=base,
        overrides=undotted(_mapping(path, content.get("overrides"), "overrides"), f"{path}: overrides"),
        seeds=_seeds(path, content["seeds"]),
        metrics=_metrics(path, content.get("metrics", list(METRICS))),
        baseline=baseline,
        variants=variants,
        columns=_named_changes(path, content, "columns") if content.get("columns") else {"": {}},
        zoos={str(k): str(v) for k, v in _mapping(path, content.get("zoos"), "zoos").items()},
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


def _named_changes(path: Path, content: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    found = {}
    for name, changes in _mapping(path, content[key], key).items():
        if not _NAME.fullmatch(str(name)):
            raise ConfigError(
                f"{path}: {key}: {name!r} cannot be a folder's name: letters, digits and _ - + , . = % ( ) are allowed"
            )
        where = f"{path}: {key}: {name}"
        found[str(name)] = undotted(_mapping(path, changes, f"{key}: {name}"), where)
        if "seed_everything" in found[str(name)]:
            raise ConfigError(f"{where}: seeds are a list of their own")
    if not found:
        raise ConfigError(f"{path}: {key} has no entries")
    return found


def _seeds(path: Path, value: Any) -> tuple[int, ...]:
    known = isinstance(value, list) and value and all(type(seed) is int and seed >= 0 for seed in value)
    if not known:
        raise ConfigError(f"{path}: seeds should be a list of integers >= 0, found {value!r:.60}")
    twice = [seed for seed in value if value.count(seed) > 1]
    if twice:
        raise ConfigError(f"{path}: seed {twice[0]} is given twice")
    return tuple(value)


def _metrics(path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{path}: metrics should be a list of keys like test/accuracy, found {value!r:.60}")
    return tuple(value)
