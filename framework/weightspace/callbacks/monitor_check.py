"""Looks before the first epoch whether the metric is logged that is to choose the best checkpoint."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.errors import ConfigError


class MonitorCheck(Callback):
    """Ends a run after Lightning's trial of the validation, where the monitor is a metric that it has not logged.

    Args:
        monitor: name of the metric. One whose name does not begin with "val" may be logged by the training, so that it
            is known only after an epoch.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError where the metric is not among those of the validation."""
        logged = sorted(trainer.callback_metrics)
        if self.monitor.startswith("val") and self.monitor not in logged:
            names = ", ".join(logged) or "nothing"
            raise ConfigError(
                f"monitor {self.monitor!r} is to choose the best checkpoint, but {type(pl_module).__name__} does not "
                f"log it in validation: give one that it logs by --monitor NAME. Logged: {names}"
            )
