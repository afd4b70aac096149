"""The YAML file of a study: its keys, each checked for what it has to be."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from weightspace.errors import ConfigError, closest
from weightspace.files import read_regular
from weightspace.files.safe_yaml import load_yaml, repeated_key
from weightspace.studies.overrides import undotted

#: Largest size of the file in bytes.
LIMIT = 1_000_000
KEYS = (
    *("title", "base", "overrides", "seeds", "metrics", "baseline", "variants", "columns", "zoos", "encoders"),
    *("tested", "baseline_columns", "amounts", "folds", "ceiling"),
)
#: Keys that the study gives to each run.
GIVEN = ("experiment", "runs", "ckpt_path", "overwrite", "auto_resume")
#: Largest seed of the generators of numpy.
LARGEST_SEED = 2**32 - 1
#: Names are parts of the paths of runs.
LONGEST_NAME = 200
_NAME = re.compile(r"\w([\w .,+=%()-]*[\w.,+=%()-])?")


class StudyFile:
    """Reads the values of keys; each method raises ConfigError if a value is not what its key needs.

    Args:
        path: the file.

    Raises:
        ConfigError: the file cannot be read, or has unknown keys or lacks needed ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = self._mapping(_loaded(path), "a study")
        unknown = [key for key in self.content if key not in KEYS]
        if unknown:
            raise ConfigError(f"{path}: unknown key {unknown[0]!r}: {closest(str(unknown[0]), KEYS)}")
        for key in ("base", "seeds", "variants"):
            if key not in self.content:
                raise ConfigError(f"{path}: {key} is missing: a study has a base, seeds and variants")

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise ConfigError(f"{self.path}: {key} should be a text, found {value!r:.60}")
        return value

    def truth(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.content.get(key, default)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.path}: {key} should be true or false, found {value!r:.60}")
        return value

    def seeds(self) -> tuple[int, ...]:
        """The seeds, of which each is there once."""
        value = self.content["seeds"]
        known = isinstance(value, list) and value
        if not known or not all(type(seed) is int and 0 <= seed <= LARGEST_SEED for seed in value):
            expected = f"a list of integers in 0..{LARGEST_SEED}"
            raise ConfigError(f"{self.path}: seeds should be {expected}, found {value!r:.60}")
        twice = [seed for seed in value if value.count(seed) > 1]
        if twice:
            raise ConfigError(f"{self.path}: seed {twice[0]} is given twice")
        return tuple(value)

    def folds(self) -> int:
        """The number of folds; 0: none."""
        value = self.content.get("folds")
        if value is not None and not (type(value) is int and value >= 2):
            raise ConfigError(f"{self.path}: folds should be a whole number of at least 2, found {value!r:.60}")
        return value or 0

    def metrics(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """The metrics, of which each is there once."""
        value = self.content.get("metrics", list(default))
        if not isinstance(value, list) or not value or not all(isinstance(key, str) for key in value):
            raise ConfigError(f"{self.path}: metrics should be a list of keys like test/accuracy, found {value!r:.60}")
        twice = [key for key in value if value.count(key) > 1]
        if twice:
            raise ConfigError(f"{self.path}: the metric {twice[0]} is given twice")
        return tuple(value)

    def changes(self, key: str) -> dict[str, Any]:
        """Changes of a configuration, nested."""
        return self._changes(self.content.get(key), key)

    def named_changes(self, key: str) -> dict[str, dict[str, Any]]:
        """Changes by name, of which there is one at least."""
        found = {}
        for name, changes in self._mapping(self.content[key], key).items():
            if not _NAME.fullmatch(str(name)) or len(str(name).encode()) > LONGEST_NAME:
                raise ConfigError(
                    f"{self.path}: {key}: {str(name)!r:.60} cannot be a folder's name: up to {LONGEST_NAME} letters, "
                    "digits and _ - + , . = % ( ), of which the first is a letter, a digit or _, with spaces within"
                )
            if changes is None:  # as of `{1,200: ...}`, which YAML takes for 1 and 200
                raise ConfigError(
                    f"{self.path}: {key}: {name} says nothing: write {name}: {{}} if nothing differs, and quote names "
                    "with commas within braces"
                )
            found[str(name)] = self._changes(changes, f"{key}: {name}")
        if not found:
            raise ConfigError(f"{self.path}: {key} has no entries")
        return found

    def commands(self, key: str, example: str) -> dict[str, str]:
        """The arguments of commands by what they make."""
        found = self._mapping(self.content.get(key), key)
        for made, arguments in found.items():
            try:
                known = isinstance(arguments, str) and all(map(shlex.split, arguments.split("&&")))
            except ValueError:  # a quote that nothing ends
                known = False
            if not known:
                expected = f"text like `{example}`"
                raise ConfigError(f"{self.path}: {key}: {made}: expected {expected}, found {arguments!r:.60}")
        return {str(made): arguments for made, arguments in found.items()}

    def _mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.path}: {what} should be a mapping, found {value!r:.60}")
        return value

    def _changes(self, value: Any, what: str) -> dict[str, Any]:
        """Nested changes, which do not state what the study itself gives to each run."""
        where = f"{self.path}: {what}"
        changes = undotted(self._mapping(value, what), where)
        if "seed_everything" in changes:
            raise ConfigError(f"{where}: seeds are a list of their own")
        given = [key for key in GIVEN if key in changes]
        if given:
            raise ConfigError(f"{where}: {given[0]} is given by the study: leave it out")
        return changes


def _loaded(path: Path) -> Any:
    try:
        text = read_regular(path, LIMIT).decode()
        content, repeated = load_yaml(text), repeated_key(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if repeated is not None:
        raise ConfigError(f"{path}: the key {repeated!r} is there twice: give one of them another name")
    return content
