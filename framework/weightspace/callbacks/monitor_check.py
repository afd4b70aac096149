"""Looks before the first epoch whether the metrics are logged that callbacks go by."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.callbacks.best_checkpoint import BestCheckpoint
from weightspace.callbacks.online_probe import METRICS, OnlineProbe
from weightspace.errors import ConfigError
from weightspace.runs.loops import callbacks_of

#: What a user can do whose metric has only not been logged yet.
LATER = " (or num_sanity_val_steps 0, if it is logged from the first epoch on)"


class MonitorCheck(Callback):
    """Ends a run after Lightning's trial of the validation, where a callback's ``monitor`` was not logged in it.

    It looks at every callback of the trainer that has a ``monitor``: the one that chooses the best checkpoint,
    EarlyStopping, a ModelCheckpoint of the user's, and callbacks of others. A metric whose name does not begin with
    "val" may be logged by the training, so that it is known only after an epoch.
    """

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError where a metric is not among those of the validation."""
        probed = METRICS if any(isinstance(callback, OnlineProbe) for callback in callbacks_of(trainer)) else ()
        _check(trainer, pl_module, {*trainer.callback_metrics, *probed}, "in validation", LATER)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError where a callback goes by a metric of a validation that there is not."""
        if not sum(trainer.num_val_batches):
            _check(trainer, pl_module, set(), "in validation, of which there is none")


def _check(trainer: pl.Trainer, model: pl.LightningModule, logged: set[str], where: str, hint: str = "") -> None:
    for callback in callbacks_of(trainer):
        monitor, own = getattr(callback, "monitor", None), isinstance(callback, BestCheckpoint)
        if not isinstance(monitor, str) or not monitor.startswith("val") or monitor in logged:
            continue
        if not getattr(callback, "strict", True) or (own and not sum(trainer.num_val_batches)):
            continue  # it does without
        goal = "is to choose the best checkpoint" if own else f"is what {type(callback).__name__} goes by"
        change = "as monitor" if own else "as its monitor"
        raise ConfigError(
            f"monitor {monitor!r} {goal}, but {type(model).__name__} does not log it {where}: give one that it logs "
            f"{change}{hint}. Logged: {', '.join(sorted(logged)) or 'nothing'}"
        )
