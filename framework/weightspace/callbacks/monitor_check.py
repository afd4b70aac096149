"""Checking before the first epoch that the metrics monitored by callbacks are logged."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.callbacks.best_checkpoint import BestCheckpoint
from weightspace.callbacks.online_probe import METRICS, OnlineProbe
from weightspace.errors import ConfigError
from weightspace.runs.loops import callbacks_of
from weightspace.text import call_text

#: Advice for a metric that is only logged later.
LATER = " (or num_sanity_val_steps 0, if it is logged from the first epoch on)"


class MonitorCheck(Callback):
    """Ends a run after Lightning's sanity check if it has not logged a callback's ``monitor``.

    Every callback of the trainer with a ``monitor`` is checked: the one that chooses the best checkpoint,
    EarlyStopping, a ModelCheckpoint of the user, and third-party callbacks. A metric whose name does not begin with
    "val" may be logged in training, so that it is known only after an epoch.
    """

    __repr__ = call_text

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError if a monitored metric is not logged in validation."""
        probes = [callback for callback in callbacks_of(trainer) if isinstance(callback, OnlineProbe)]
        rare = [probe for probe in probes if probe.every_n_epochs > 1]
        for callback in callbacks_of(trainer) if rare else ():
            if (monitor := getattr(callback, "monitor", None)) in METRICS:
                raise ConfigError(
                    f"monitor {monitor!r}: it is measured every {rare[0].every_n_epochs} epochs alone: give "
                    "probe.every_n_epochs 1"
                )
        probed = METRICS if probes else ()
        _check(trainer, pl_module, {*trainer.callback_metrics, *probed}, "in validation", LATER)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError if a callback monitors a validation metric, but there is no validation."""
        if not sum(trainer.num_val_batches):
            _check(trainer, pl_module, set(), "in validation, but there is no validation")


def _check(trainer: pl.Trainer, model: pl.LightningModule, logged: set[str], where: str, hint: str = "") -> None:
    for callback in callbacks_of(trainer):
        monitor, own = getattr(callback, "monitor", None), isinstance(callback, BestCheckpoint)
        if not isinstance(monitor, str) or not monitor.startswith("val") or monitor in logged:
            continue
        if not getattr(callback, "strict", True) or (own and not sum(trainer.num_val_batches)):
            continue  # it works without the metric
        goal = "is to choose the best checkpoint" if own else f"is monitored by {type(callback).__name__}"
        change = "as monitor" if own else "as its monitor"
        raise ConfigError(
            f"monitor {monitor!r} {goal}, but {type(model).__name__} does not log it {where}: give one that it logs "
            f"{change}{hint}. Logged: {', '.join(sorted(logged)) or 'nothing'}"
        )
