"""Checks of a study before anything runs: its experiments can be read and built, and differ as they say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from jsonargparse import Namespace

from weightspace.augment import build_augmentations
from weightspace.cli.resolving import Resolver
from weightspace.errors import ConfigError, WeightspaceError
from weightspace.runs.origin import is_there, numbered
from weightspace.studies.cells import Cell, changes_of, write_changes
from weightspace.studies.overrides import changed_keys, leaves
from weightspace.studies.remade import Inputs
from weightspace.studies.study import Study
from weightspace.tasks import Task

#: Keys that each run has for itself.
_OWN = ("experiment", "config", "seed_everything")


def check_variants(study: Study, cells: Sequence[Cell]) -> dict[str, Inputs]:
    """Resolves the configuration of each cell of the table; returns the zoo and the encoder that each run reads.

    Where the zoo is there, task, backbone and augmentations are also built for its networks, one seed of each cell, and
    one fold of each, unless what is read depends on it.

    Args:
        study: the study.
        cells: its runs.

    Returns:
        Paths by the experiment of the cells.

    Raises:
        ConfigError: a key is unknown, a value is not what its key or the networks of the zoo need, a variant changes
            what it does not state, or it is another one with a default written out.
    """
    inputs: dict[str, Inputs] = {}
    seen: list[tuple[Cell, dict[str, Any]]] = []
    shared = ["-c", str(study.base), "--experiment", study.name]
    with _explained(f"the base {study.base}"):
        resolver = Resolver(shared)
        base = _resolved(resolver.parse(shared))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changes.yaml"
        for name, cell in {_read_by(study, cell): cell for cell in cells}.items():
            changes = changes_of(study, cell)
            write_changes(path, changes)
            with _explained(f"{study.path}: {cell.place}"):
                parsed = resolver.parse([*shared, "-c", str(path)])
                config = _resolved(parsed)
                build_augmentations(config["data"]["augmentations"])
            if study.tested:
                _check_tested(f"{study.path}: {cell.place}", resolve_name(config["model"]["class_path"]))
            _check_stated(f"{study.path}: {cell.place}", changes, base, config)
            zoos = {**_zoos(config, "zoo"), **_zoos(config, "test_zoo")}
            if all(is_there("zoo", zoo) for zoo in zoos.values()):
                with _explained(f"{study.path}: {cell.place}"):
                    resolver.build(parsed)
            for other, known in seen:
                if other.column == cell.column and not _changed(known, config):
                    names = f"the variants {other.variant!r} and {cell.variant!r}"
                    raise ConfigError(f"{study.path}: {names} are the same: they differ in defaults alone")
            seen.append((cell, config))
            encoder = config["model"].get("init_args", {}).get("encoder")
            # a task of one's own can have a class there
            read = {"encoder": str(encoder)} if isinstance(encoder, str | Path) else {}
            inputs[name] = {**zoos, **read}
    return {cell.experiment: inputs[_read_by(study, cell)] for cell in cells}


def _zoos(config: dict[str, Any], key: str) -> dict[str, str]:
    """Paths of the zoos that a configuration names: one, several, or none."""
    named = config["data"].get(key)
    several = named if isinstance(named, list) else [] if named is None else [named]
    return numbered(key, [str(zoo) for zoo in several])


def _read_by(study: Study, cell: Cell) -> str:
    """What the runs that read the same zoo and encoder share."""
    return cell.experiment if study.names_folds else cell.place


def _resolved(parsed: Namespace) -> dict[str, Any]:
    """A resolved configuration, in which no augmentations are an empty list, for which null is another word."""
    config: dict[str, Any] = parsed["fit"].as_dict()
    config["data"]["augmentations"] = config["data"]["augmentations"] or []
    return config


def _changed(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    return [key for key in changed_keys(first, second) if key.split(".")[0] not in _OWN]


@contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except WeightspaceError as error:
        raise ConfigError(f"{where}: {error}") from error
    except Exception as error:  # of a class of somebody's own
        error.add_note(f"raised for {where}")
        raise


def _check_tested(where: str, task: type) -> None:
    if issubclass(task, Task) and not task.has_test():
        raise ConfigError(
            f"{where}: {task.__name__} has no test: give the study `tested: false`, and metrics of training, "
            "such as val/loss"
        )


def _check_stated(where: str, changes: dict[str, Any], base: dict[str, Any], config: dict[str, Any]) -> None:
    stated = leaves(changes)
    for key in _changed(base, config):
        owner = key
        while owner and owner not in stated:
            # another class brings other arguments with it
            if f"{owner}.class_path" in stated:
                break
            owner = owner.rpartition(".")[0]
        if not owner:
            raise ConfigError(f"{where}: it also changes {key}, which it does not state: state it")
