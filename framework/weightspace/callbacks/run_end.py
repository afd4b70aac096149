"""Recording the end of a run: its reason and metrics, which distinguish finished from interrupted runs."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, Timer

from weightspace.callbacks.best_checkpoint import best_of
from weightspace.callbacks.measured import measured
from weightspace.callbacks.run_trainer import RunTrainer, stopper_of
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import (
    between_epochs,
    callbacks_of,
    epochs_done,
    limit_of_epochs,
    saved_epochs,
    stopping_message,
)
from weightspace.text import call_text

#: Key of a checkpoint's entry with what has stopped training and the metrics of the completed epoch.
KEY = "run_end"
#: Callbacks of the configuration with their arguments.
Configured = Sequence[tuple[object, dict[str, Any]]]


class RunEnd(Callback):
    """Writes metrics and ``ending.json`` at the end of training, and its reason to checkpoints as soon as it is known.

    So a process may be killed at any time: resuming a run whose last checkpoint is at the end of training writes the
    same files without training.

    Args:
        folder: folder of the run.
        configured: callbacks of the user with their arguments; None: all callbacks of the trainer, with the arguments
            that they keep as attributes.

    Attributes:
        trained: whether there was something left to train.
        finished: reason for which the resumed run has ended (see ``reason_of_end``); None if it has not.
        reason: what ended training before its limits, and why; None if nothing has.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, configured: Configured | None = None) -> None:
        self.folder, self._given = folder, configured
        self.finished: str | None
        self.reason: str | None
        self._began = 0.0
        self._forget()

    def _forget(self) -> None:
        self.trained, self.finished, self.reason = False, None, None
        self._loaded: dict[str, Any] = {}
        self._complete = self._remembered = False

    def look(self, checkpoint: dict[str, Any], trainer: pl.Trainer) -> bool:
        """Determines whether the resumed run has ended; returns whether it has also written all its files.

        Args:
            checkpoint: contents of the checkpoint from which it resumes.
            trainer: trainer before the fit.
        """
        self.finished = self.reason = reason_of_end(checkpoint, trainer, self._configured(trainer))
        return self.finished is not None and self.folder.has_ended(checkpoint["global_step"])

    def _configured(self, trainer: pl.Trainer) -> Configured:
        if self._given is not None:
            return self._given
        return [(callback, kept_arguments(callback)) for callback in callbacks_of(trainer)]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Resets the state of a previous fit."""
        if stage == "fit":
            self._forget()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock, and prevents training if the run has ended."""
        self._began = time.perf_counter()
        if self.finished:
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restores what has requested the end, if the minimum number of epochs or steps is not reached yet."""
        self.trained = True
        stopped = self._loaded.get("stopped")
        configured = self._configured(trainer)
        if stopped and _same(stopped, configured):
            trainer.should_stop = True
            alike = (callback for callback, _ in configured if _path(callback) == stopped["class"])
            self._remembered = True
            if isinstance(trainer, RunTrainer):
                trainer.stopper = next(alike, self)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds what has stopped training and, at the end of an epoch, the metrics."""
        metrics = _measured(trainer) if between_epochs(trainer) else None
        checkpoint[KEY] = {"stopped": self._stopped(trainer), "metrics": metrics}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Reads the entry, and replaces the saved patience of EarlyStopping by that of the configuration."""
        self._loaded = checkpoint.get(KEY) or {}
        if trainer.state.fn == "fit":
            self._complete = self.look(checkpoint, trainer)
        for callback in trainer.early_stopping_callbacks:
            if isinstance(callback, EarlyStopping) and callback.state_key in checkpoint["callbacks"]:
                checkpoint["callbacks"][callback.state_key]["patience"] = callback.patience

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Records what has ended training."""
        stopped = self._stopped(trainer)
        self.reason = stopped["reason"] if stopped else None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes ``metrics.json`` (with the time of the last part, if the run was resumed) and ``ending.json``."""
        epochs, best = epochs_done(trainer), best_of(trainer)
        extra: dict[str, float] = {"epochs": epochs}
        if best is not None and best.best_model_score is not None:
            extra[f"best {best.monitor}"] = float(best.best_model_score)
        if self.trained:
            found = measured(trainer)  # in all processes together
            extra["seconds"] = time.perf_counter() - self._began
        else:
            found = self._loaded.get("metrics") or {}
        if not trainer.is_global_zero or not (self.trained or found) or self._complete:
            return
        self.folder.add_metrics("fit", {**found, **extra})
        step = trainer.global_step
        self.folder.write_json("ending.json", {"step": step, "epochs": epochs, "reason": self.reason or "its limits"})

    def _stopped(self, trainer: pl.Trainer) -> dict[str, Any] | None:
        if not trainer.should_stop:
            return None
        stopper = stopper_of(trainer)
        if stopper is self or (stopper is None and self._remembered):  # what it was is only known from the checkpoint
            stopped: dict[str, Any] | None = self._loaded.get("stopped")
            return stopped
        arguments = next((_plain(given) for callback, given in self._configured(trainer) if callback is stopper), None)
        return {"class": _path(stopper), "arguments": arguments, "reason": _reason(stopper)}


def kept_arguments(callback: Callback) -> dict[str, Any]:
    """Constructor arguments of a callback that it keeps as attributes of the same names, as plain values.

    >>> kept_arguments(EarlyStopping("val/loss", patience=2))["patience"]
    2
    """
    names = inspect.signature(type(callback).__init__).parameters
    kept = {name: getattr(callback, name) for name in names if hasattr(callback, name)}
    return {name: value for name, value in kept.items() if isinstance(value, str | int | float | None)}


def reason_of_end(checkpoint: dict[str, Any], trainer: pl.Trainer, configured: Configured) -> str | None:
    """The reason why nothing is left to train from a checkpoint with the current configuration; None if something is.

    Args:
        checkpoint: contents of the checkpoint.
        trainer: trainer before the fit.
        configured: callbacks of the configuration with their arguments. If the callback that has stopped training is
            now missing or has other arguments, training continues.
    """
    (epochs, between), step, max_epochs = saved_epochs(checkpoint), checkpoint["global_step"], limit_of_epochs(trainer)
    if max_epochs != -1 and epochs >= max_epochs:
        return f"trainer.max_epochs is {max_epochs}"
    if trainer.max_steps != -1 and step >= trainer.max_steps:
        return f"trainer.max_steps is {trainer.max_steps}"
    may_stop = epochs >= (trainer.min_epochs or 0) and step >= (trainer.min_steps or 0)
    if not may_stop or not between:
        return None
    for timer in (callback for callback in callbacks_of(trainer) if isinstance(callback, Timer)):
        allowed = timer.time_remaining()  # before any of it is used
        used = checkpoint.get("callbacks", {}).get(timer.state_key, {}).get("time_elapsed", {}).get("train", 0)
        if allowed is not None and used >= allowed:
            return "trainer.max_time is over"
    stopped = (checkpoint.get(KEY) or {}).get("stopped")
    return stopped["reason"] if stopped and _same(stopped, configured) else None


def _same(stopped: dict[str, Any], configured: Configured) -> bool:
    """Whether the callback that stopped training is still configured alike, ignoring arguments unknown at that time."""
    if stopped["arguments"] is None:  # the model or one of its callbacks; the time is checked separately
        return not stopped["class"].endswith(".Timer")
    known = [_plain(given) for callback, given in configured if _path(callback) == stopped["class"]]
    return any(all(stopped["arguments"].get(k, v) == v for k, v in given.items()) for given in known)


def _measured(trainer: pl.Trainer) -> dict[str, float]:
    """Metrics of the epoch without its speed, so that equal runs have equal checkpoints."""
    return {name: value for name, value in measured(trainer).items() if name != "networks_per_second"}


def _reason(stopper: object) -> str:
    if isinstance(stopper, EarlyStopping):
        return f"EarlyStopping: {stopping_message(stopper)}"
    if isinstance(stopper, Timer):
        return "trainer.max_time is over"
    return f"{type(stopper).__name__} asked to stop" if stopper is not None else "trainer.should_stop was set"


def _path(callback: object) -> str:
    return f"{type(callback).__module__}.{type(callback).__qualname__}"


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(arguments, default=str))
    return plain
