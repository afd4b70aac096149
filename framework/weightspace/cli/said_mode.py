"""Saying how a run trains, and why, and what should be known of its data."""

from __future__ import annotations

import textwrap
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.callbacks.epoch_lines import WIDTH
from weightspace.cli.console import make_console
from weightspace.tasks import Task


class SaidMode(Callback):
    """Prints when training starts whether it is compiled, and why, and what should be known of the data.

    Nothing is said of a mode that was asked for. Trials print it, too.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Settles the mode in all processes, and prints it and the remark in the first."""
        data = cast(Any, trainer).datamodule
        mode = pl_module.settle_mode() if isinstance(pl_module, Task) else None
        said = [str(mode) if mode is not None and mode.reason else None, getattr(data, "remark", None)]
        for line in filter(None, said if trainer.is_global_zero else []):
            make_console().print(textwrap.fill(line, WIDTH, subsequent_indent="    "))
