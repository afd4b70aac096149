"""The file ``config.yaml`` of a run: saving it, and finding its run when it is given to a command again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.pytorch import Callback

from weightspace.cli.console import make_console
from weightspace.cli.experiment import check_name, experiment_name
from weightspace.errors import ConfigError
from weightspace.files import read_regular, write_whole
from weightspace.files.safe_yaml import MOST_CHARACTERS, load_yaml
from weightspace.runs.folder import RUNS, RunFolder
from weightspace.runs.parts import describe_differences, part_name, part_of
from weightspace.tasks import Task
from weightspace.tasks.mode import Mode
from weightspace.text import call_text

NAME = "config.yaml"
#: Options that are not saved: they belong to one command, or follow from the location of the file.
_OF_A_COMMAND = ("ckpt_path", "weights_only", "overwrite", "experiment", "runs")
#: Options of single commands with their defaults; the other commands accept files with them, too.
OF_SINGLE_COMMANDS = {"overwrite": False, "verbose": False, "return_predictions": None}


class SavedConfig(Callback):
    """Saves the configuration when training starts, once it is known whether it is compiled.

    Args:
        save: saves it in the first process, with the mode of the run; None: the model is no ``Task``.
    """

    __repr__ = call_text

    def __init__(self, save: Callable[[Mode | None], None]) -> None:
        self.save = save

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Settles the mode in all processes, and saves in the first."""
        mode = pl_module.settle_mode() if isinstance(pl_module, Task) else None
        if trainer.is_global_zero:
            self.save(mode)


def save_config(parser: Any, config: Any, folder: RunFolder, files: list[Path], mode: Mode | None) -> None:
    """Writes a run's resolved configuration to its folder; if a resumed run has another one, to a further file.

    Args:
        parser: parser of the command ``fit``.
        config: its parsed options.
        folder: folder of the run.
        files: the given YAML files; if ``data.seed`` follows the seed of the run in one, this is kept.
        mode: how the run trains, which replaces ``compile: auto``, so that a run from this file trains in the same way.
    """
    kept = config.clone()
    arguments = kept["model"].get("init_args", {})
    if mode is not None and "compile" in arguments:
        arguments["compile"] = mode.compiled
    for key in _OF_A_COMMAND:
        kept.pop(key, None)
    if _seed_follows(files) and kept["data"]["seed"] == kept["seed_everything"]:
        kept["data"]["seed"] = None
    part = part_of(folder) + 1
    path = folder.path / part_name(NAME, part)
    write_whole(path, parser.dump(kept, skip_none=False).encode())
    changed = describe_differences(folder, part)
    if part > 1 and not changed:
        path.unlink()
    if changed:
        make_console().print("\n  ".join([f"resumes with another configuration ({path}):", *changed]))


def _seed_follows(files: list[Path]) -> bool:
    seeds = []
    for file in files:
        try:
            content = load_yaml(read_regular(file, 4 * MOST_CHARACTERS).decode())
        except (OSError, ValueError, ConfigError, yaml.YAMLError):
            continue  # an address, a pipe or "-", which the parser has read
        data = content.get("data") if isinstance(content, dict) else None
        seeds += [str(data["seed"])] if isinstance(data, dict) and "seed" in data else []
    return bool(seeds) and "${" in seeds[-1] and "seed_everything" in seeds[-1]


def folder_of(runs: str, experiment: str | None, seed: int, files: list[Path]) -> RunFolder:
    """The folder of the run for which a command was given.

    Args:
        runs: folder of all runs.
        experiment: name of the run's folder; None: that of the run to which the last file belongs, if it is a
            ``config.yaml``, or else the path of the file.
        seed: seed of the run.
        files: the given YAML files.

    Raises:
        ConfigError: there is no name, or it leads outside the folder of all runs.
    """
    own = _seeds_of(files[-1]) if files and experiment is None else None
    if own is None:
        return RunFolder(Path(runs) / check_name(experiment or experiment_name(files)) / str(seed))
    if runs != RUNS:  # with the same name
        below = own.parts[::-1].index(RUNS) if RUNS in own.parts else 1
        own = Path(runs).joinpath(*own.parts[len(own.parts) - below :])
    return RunFolder(own / str(seed))


def _seeds_of(file: Path) -> Path | None:
    """Folder of all seeds of an experiment, if the file is the ``config.yaml`` of one of its runs."""
    run = file.parent if file.parent.name and ".." not in file.parts else file.parent.resolve()
    own = file.name == NAME and ((run / "checkpoints").is_dir() or (run / "provenance.json").is_file())
    return run.parent if own else None
