"""The runs of a study: which there are, what each is configured with, and where its files lie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from weightspace.errors import ConfigError
from weightspace.files import write_whole
from weightspace.files.safe_yaml import load_yaml
from weightspace.runs.folder import RunFolder
from weightspace.runs.origin import is_outdated
from weightspace.studies.overrides import changed_keys, merged
from weightspace.studies.study import Study


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        variant, column, seed: its place in the study.
        digest: of the configuration that is asked for: base, changes and seed.
        fold: which fold of the data it is tested on; None: the study has none.
    """

    variant: str
    column: str
    seed: int
    digest: str
    fold: int | None = None

    @property
    def key(self) -> str:
        """Its name within the study, as "mixup/2000 objects/0" or "mixup/2000 objects/fold 4/0".

        A column that has no name is left out.
        """
        return f"{self.experiment}/{self.seed}"

    @property
    def experiment(self) -> str:
        """Its key without the seed."""
        return self.place if self.fold is None else f"{self.place}/fold {self.fold}"

    @property
    def place(self) -> str:
        """Its place in the table, which all seeds and folds share: "mixup/2000 objects"."""
        return "/".join(filter(None, (self.variant, self.column)))


def cells_of(study: Study) -> list[Cell]:
    """All runs of a study, seed by seed, so that a study that is cut has compared something; folds side by side.

    Raises:
        ConfigError: the base cannot be read, or two variants of a column, or columns of a variant, are the same.
    """
    base = read_base(study)
    asked = {
        (variant, column): merged(base, study.changes(variant, column, base=base))
        for column in study.every_column
        for variant in study.variants_in(column)
    }
    for column in study.columns:
        for one, other in combinations(study.variants, 2):
            if not changed_keys(asked[one, column], asked[other, column]):
                raise ConfigError(f"{study.path}: the variants {one!r} and {other!r} are the same")
    for variant in study.variants:
        for one, other in combinations(study.columns, 2):
            if not changed_keys(asked[variant, one], asked[variant, other]):
                raise ConfigError(f"{study.path}: the columns {one!r} and {other!r} are the same for {variant!r}")
    return [
        Cell(variant, column, seed, _digest({**merged(base, changes), "seed_everything": seed}), fold)
        for seed in study.seeds
        for variant, column in asked
        for fold in study.each_fold
        for changes in [_changes(study, base, variant, column, fold)]
    ]


def changes_of(study: Study, cell: Cell) -> dict[str, Any]:
    """All changes of the base in a run, nested, without its seed."""
    return _changes(study, read_base(study), cell.variant, cell.column, cell.fold)


def _changes(study: Study, base: dict[str, Any], variant: str, column: str, fold: int | None) -> dict[str, Any]:
    of_fold = {} if fold is None else {"data": {"folds": study.folds, "fold": fold}}
    return merged(study.changes(variant, column, fold, base), of_fold, base)


def read_base(study: Study) -> dict[str, Any]:
    """The base's configuration, as its file has it.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content = load_yaml(study.base.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"the base {study.base} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"the base {study.base} should be an experiment, found {type(content).__name__}")
    return content


def _digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(_text_keys(config), sort_keys=True, default=str).encode()).hexdigest()[:16]


def _text_keys(value: Any) -> Any:
    """The value with keys as text, as JSON writes them; numbers and text as keys of one mapping cannot be sorted."""
    if isinstance(value, dict):
        return {str(key): _text_keys(inner) for key, inner in value.items()}
    return [_text_keys(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Place:
    """Where the files of a study's runs lie: below ``RUNS/studies/NAME``.

    Attributes:
        study: whose runs they are.
        runs: folder of all runs.
    """

    study: Study
    runs: Path

    @property
    def folder(self) -> Path:
        """Folder of the study's runs, tables and figure."""
        return self.runs / "studies" / self.study.name

    def run(self, cell: Cell) -> RunFolder:
        """Folder of a run."""
        return RunFolder(self.folder / cell.key)

    def changes(self, cell: Cell) -> Path:
        """The YAML file with the changes of the base, which all seeds share."""
        return self.folder / cell.experiment / "changes.yaml"

    def asked(self, cell: Cell) -> Path:
        """The file that holds the digest of the configuration with which the run was begun."""
        return self.folder / cell.experiment / f"{cell.seed}.digest"

    def log(self, cell: Cell) -> Path:
        """What the commands of a run have printed."""
        return self.folder / cell.experiment / f"{cell.seed}.log"

    def began_as_asked(self, cell: Cell) -> bool:
        """Whether the folder's run, if there is one, has the configuration that is asked for."""
        path = self.asked(cell)
        return path.is_file() and path.read_text(encoding="utf-8").strip() == cell.digest

    def commands(self, cell: Cell) -> list[list[str]]:
        """Arguments of ``weightspace`` that train the run (or go on with it), test it, and write its predictions.

        A study whose runs are not tested trains them alone.
        """
        name = f"studies/{self.study.name}/{cell.experiment}"
        shared = ["-c", str(self.study.base), "-c", str(self.changes(cell)), "--experiment", name]
        shared += ["--runs", str(self.runs), "--seed_everything", str(cell.seed)]
        fit = ["fit", *shared, "--auto_resume", "true"]
        return [fit, ["test", *shared], ["predict", *shared]] if self.study.tested else [fit]

    def check_base(self, cell: Cell) -> None:
        """Checks that the base, which each command of a run reads, still says what the run's digest says.

        Raises:
            ConfigError: it does not; what the run has is then not gone on with.
        """
        config = merged(read_base(self.study), changes_of(self.study, cell))
        if _digest({**config, "seed_everything": cell.seed}) != cell.digest:
            self.asked(cell).unlink(missing_ok=True)
            raise ConfigError(f"{self.study.base} was changed while the study ran: start the study again")

    def begin(self, cell: Cell) -> None:
        """Prepares the files that a run begins from, or goes on from.

        The run of another configuration, zoo or encoder is removed before the new digest is noted: cut in between, a
        study would otherwise go on with that run, and take its results for those of this one.

        Raises:
            ConfigError: a process still trains in the folder.
        """
        if not self.began_as_asked(cell) or is_outdated(self.run(cell)):
            self.asked(cell).unlink(missing_ok=True)
            folder = self.run(cell)
            lock = folder.lock()
            try:
                folder.prepare(lock, resuming=False, replacing=True)
            finally:
                lock.release()
            self.asked(cell).write_text(f"{cell.digest}\n", encoding="utf-8")
        (self.run(cell).path / "predictions.csv").unlink(missing_ok=True)  # it ends what is collected
        write_changes(self.changes(cell), changes_of(self.study, cell))


def write_changes(path: Path, changes: dict[str, Any]) -> None:
    """Writes changes of a configuration as YAML; whole, since a run with another seed may be reading the file."""
    write_whole(path, yaml.safe_dump(changes, sort_keys=False).encode())
