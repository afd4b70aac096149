"""Saying how a run trains, and why."""

from __future__ import annotations

import textwrap

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.callbacks.epoch_lines import WIDTH
from weightspace.cli.console import make_console
from weightspace.tasks import Task


class SaidMode(Callback):
    """Prints when training starts whether it is compiled, and why; nothing if that was asked for. Also in trials."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Settles the mode in all processes, and prints it in the first."""
        mode = pl_module.settle_mode() if isinstance(pl_module, Task) else None
        if mode is not None and mode.reason and trainer.is_global_zero:
            make_console().print(textwrap.fill(str(mode), WIDTH, subsequent_indent="    "))
