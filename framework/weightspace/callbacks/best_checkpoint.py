"""Checkpoints of the best validation epochs, which remain valid if the run's folder is moved."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from weightspace.checks import check_choice, check_whole
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import OpenCheckpoint, with_renamed_files
from weightspace.runs.metric_text import less_is_better
from weightspace.text import call_text

#: Metric that chooses the best epoch of a model without a ``monitor``.
MONITOR = "val/accuracy"
#: Prefixes of the names of the run's own checkpoints.
_OWN_NAMES = ("best", "step-", "top-")


class BestCheckpoint(OpenCheckpoint):
    """Writes ``best.ckpt`` after each validation that is better than all before, and keeps the ``top_k`` best.

    With ``top_k`` above 1, checkpoints are named after step and score, as ``top-00000046-0.7312.ckpt``, and
    ``best.ckpt`` is a link to the best of them. The state contains file names without their folder, so that a run can
    be moved, and has its own key, so that a ``ModelCheckpoint`` of the user can be used as well.

    Args:
        folder: folder of the run.
        monitor: name of the validation metric; None: that of the task.
        mode: whether "max" or "min" is better; None: that of the task for its own metric, "min" for losses and other
            errors by their names, else "max".
        top_k: number of checkpoints to keep, >= 1.

    Attributes:
        idle: whether the zoo has no validation objects, so that there is no best epoch.

    Raises:
        ConfigError: ``mode`` or ``top_k`` is out of range.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, monitor: str | None = None, mode: str | None = None, top_k: int = 1) -> None:
        if mode is not None:
            check_choice("monitor_mode", mode, ("max", "min"))
        check_whole("checkpoints.top_k", top_k, low=1)
        super().__init__(
            folder.checkpoints,
            "best",
            monitor=monitor or MONITOR,
            mode=mode or "max",
            save_top_k=top_k,
            save_on_train_epoch_end=False,  # after validation, which logs the metric
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        self.folder, self._given, self.idle = folder, (monitor, mode), False
        assert self.dirpath is not None
        self.best_file = Path(self.dirpath) / "best.ckpt"  # absolute, as the names of all checkpoints are

    @property
    def state_key(self) -> str:
        """Key of the callback's state in checkpoints."""
        return type(self).__qualname__

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Sets metric and mode from the task."""
        data = cast(Any, trainer).datamodule
        self.idle = isinstance(data, ZooDataModule) and not len(data.zoo.rows("val"))
        monitor, mode = self._given
        own = getattr(pl_module, "monitor", MONITOR)
        if monitor in (None, own):
            mode = mode or getattr(pl_module, "monitor_mode", None)
        monitor = monitor or own
        self.choose_by(monitor, mode or ("min" if less_is_better(monitor) else "max"))
        if self.save_top_k > 1:
            self.filename = f"top-{{step:08d}}-{{{monitor}:.4f}}"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # in resumed runs
            super().setup(trainer, pl_module, stage)

    def newest(self) -> Path | None:
        """The newest checkpoint by steps, for ``ckpt_path="last"``."""
        steps = self.folder.steps()
        return steps[-1] if steps else None

    def state_dict(self) -> dict[str, Any]:
        """Returns scores and file names."""
        return {**with_renamed_files(super().state_dict(), lambda path: Path(path).name), "dirpath": None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores scores and file names from a checkpoint in the same folder as the files."""
        assert self.dirpath is not None
        folder = Path(self.dirpath)
        here = with_renamed_files(state_dict, lambda path: str(folder / Path(path).name))
        super().load_state_dict({**here, "dirpath": self.dirpath})

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Converts states of moved runs and of earlier versions before they are loaded."""
        states = checkpoint["callbacks"]
        for key in [key for key in states if self.state_key not in states and key.startswith("ModelCheckpoint{")]:
            if Path(states[key]["best_model_path"]).name == self.best_file.name:
                states[self.state_key] = states.pop(key)  # the key of earlier versions
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.state_key in states:
                states[callback.state_key] = moved(states[callback.state_key], callback.dirpath)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reduces existing files to the number to keep, and forgets those of an abandoned continuation.

        A run that resumes from an earlier checkpoint may find ``best.ckpt`` as a later epoch has written it.
        """
        super().on_train_start(trainer, pl_module)
        own = str(self.best_file)
        there = {path: score for path, score in self.best_k_models.items() if Path(path).is_file()}
        if own in there and _steps_of(own) > trainer.global_step:
            rank_zero_info(
                f"{own} is of a later step than {trainer.global_step}, from which the run goes on: the best epoch is "
                "chosen anew from here on"
            )
            del there[own]
        better_first = sorted(there, key=lambda path: float(there[path]), reverse=self.mode == "max")
        kept = {path: score for path, score in there.items() if path in better_first[: self.save_top_k]}
        if self.save_top_k > 1 and own in kept:  # the run has kept one so far
            kept = {self._own_name(path) if path == own else path: score for path, score in kept.items()}
            if trainer.is_global_zero:
                _link(self.best_file, Path(self._own_name(own)))
        self._remember(kept)
        if trainer.is_global_zero:
            for path in self.best_file.parent.glob("top-*.ckpt"):
                if str(path) not in kept:
                    path.unlink()
            if kept:
                self.better_one_saved(trainer)

    def _remember(self, kept: dict[str, Tensor]) -> None:
        """Sets the checkpoints that are kept, as if no others had been saved."""
        assert self.monitor is not None
        self.choose_by(self.monitor, self.mode)  # no worst value yet
        self.best_k_models, self.best_model_path, self.best_model_score = kept, "", None
        self.kth_best_model_path = ""
        if not kept:
            return
        worst_first = sorted(kept, key=lambda path: float(kept[path]), reverse=self.mode == "min")
        self.best_model_path, self.best_model_score = worst_first[-1], kept[worst_first[-1]]
        if len(kept) == self.save_top_k:
            self.kth_best_model_path, self.kth_value = worst_first[0], kept[worst_first[0]]

    def _own_name(self, path: str) -> str:
        return str(Path(path).with_name(f"top-before-{float(self.best_k_models[path]):.4f}.ckpt"))

    def better_one_saved(self, trainer: pl.Trainer) -> None:
        """Links ``best.ckpt`` to the best checkpoint."""
        if trainer.is_global_zero and self.best_model_path != str(self.best_file):
            _link(Path(self.best_model_path), self.best_file)


def check_names(callbacks: list[Any], folder: RunFolder) -> None:
    """Raises ConfigError if a ModelCheckpoint of the user would overwrite checkpoints of the run."""
    for callback in callbacks:
        if not isinstance(callback, ModelCheckpoint) or isinstance(callback, BestCheckpoint):
            continue
        if not (callback.filename or "").startswith(_OWN_NAMES):
            continue
        if callback.dirpath is None or Path(callback.dirpath).resolve() == folder.checkpoints.resolve():
            raise ConfigError(
                f"trainer.callbacks: a ModelCheckpoint with the filename {callback.filename!r} would overwrite "
                f"checkpoints of the run in {folder.checkpoints}: give it another filename, or a dirpath"
            )


def best_of(trainer: pl.Trainer) -> ModelCheckpoint | None:
    """The callback that chooses the best epoch: a ``BestCheckpoint``, or else the first ``ModelCheckpoint``."""
    known = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    others = [c for c in known if not isinstance(c, BestCheckpoint)]
    own = (c for c in known if isinstance(c, BestCheckpoint) and not c.idle)
    return next(own, others[0] if others else None)


def moved(state: dict[str, Any], folder: Any) -> dict[str, Any]:
    """Updates the state of a ModelCheckpoint to the current folder of its files.

    Args:
        state: the saved state.
        folder: current folder of its checkpoints. If it does not contain the best one, the state is not changed.
    """
    before = state.get("dirpath")
    best = Path(state.get("best_model_path") or ".").name
    if before is None or folder is None or str(before) == str(folder) or not (Path(folder) / best).is_file():
        return state

    def here(path: str) -> str:
        return str(Path(folder) / os.path.relpath(path, before))

    return {**with_renamed_files(state, here), "dirpath": str(folder)}


def _steps_of(path: str) -> float:
    """Optimiser steps of a checkpoint; inf if it cannot be read, so that the next epoch replaces it."""
    try:
        return int(read_checkpoint(path)["global_step"])
    except ConfigError:
        return math.inf


def _link(path: Path, name: Path) -> None:
    """Creates a hard link to a file atomically; copies it if the file system has no hard links."""
    temporary = name.with_name(f".{name.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        shutil.copyfile(path, temporary)
    temporary.replace(name)
    temporary.unlink(missing_ok=True)  # renaming does nothing if both are already links to one file
