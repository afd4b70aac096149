"""Progress of training: a line per epoch and, in terminals, a bar."""

from __future__ import annotations

import textwrap
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar

from weightspace.callbacks.measured import measured
from weightspace.runs.loops import TitledBar
from weightspace.runs.metric_text import metric_text

#: Largest number of characters per line.
WIDTH = 80


class EpochClock:
    """Formats the line of an epoch: its metrics, the rate and the time left."""

    def __init__(self) -> None:
        self._began, self._first_epoch = time.perf_counter(), 0

    def start(self, trainer: pl.Trainer) -> None:
        """Starts the clock at the current epoch of the trainer."""
        self._began, self._first_epoch = time.perf_counter(), trainer.current_epoch

    def line(self, trainer: pl.Trainer, found: dict[str, float]) -> str:
        """Returns the text of the line, folded to 80 characters."""
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        metrics = {k: v for k, v in found.items() if k.startswith(("train/", "val/"))}
        parts = [f"{name} {metric_text(name, value)}" for name, value in sorted(metrics.items())]
        if total >= done:
            per_epoch = (time.perf_counter() - self._began) / (done - self._first_epoch)
            parts += [f"{per_epoch:.1f} s per epoch", f"{per_epoch * (total - done):.0f} s left"]
        name = f"epoch {done}/{total}: " if total > 0 else f"epoch {done}: "
        return _folded(name, parts)


def _folded(name: str, parts: list[str]) -> str:
    """Joins the parts with commas and folds the text between them."""
    unbroken = [part.replace(" ", "\xa0") for part in parts]
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    text = textwrap.fill(name + ", ".join(unbroken), WIDTH, subsequent_indent="    ", **options)
    return text.replace("\xa0", " ")


class EpochBar(TitledBar):
    """A progress bar of the current epoch, for terminals; the lines of completed epochs stay above it."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = EpochClock()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the bar and the clock."""
        super().on_train_start(trainer, pl_module)
        self._clock.start(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prints the line of the epoch above the bar."""
        found = measured(trainer)  # a collective operation of all processes
        super().on_train_epoch_end(trainer, pl_module)
        if self.is_enabled and self.progress is not None:
            self.progress.console.print(self._clock.line(trainer, found), markup=False, highlight=False)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Returns only the loss of the last step, since the line shows the other metrics."""
        metrics = super().get_metrics(trainer, pl_module)
        loss = metrics.get("train/loss_step", metrics.get("train/loss"))
        return {} if loss is None else {"loss": loss}

    def title(self, epoch: int) -> str:
        """Returns the number of the epoch and the number of epochs."""
        total = self.trainer.max_epochs or 0
        return f"epoch {epoch + 1}{f'/{total}' if total > 0 else ''}"


class EpochLines(ProgressBar):
    """Prints a line after each epoch: its metrics, the rate and the time left."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._clock = EpochClock()

    def disable(self) -> None:
        """Disables the lines; called by Lightning on processes other than the first."""
        self._enabled = False

    def enable(self) -> None:
        """Enables the lines again after ``disable``."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of the epochs."""
        self._clock.start(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prints the line of the epoch."""
        found = measured(trainer)  # a collective operation of all processes
        if self._enabled:
            print(self._clock.line(trainer, found), flush=True)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Returns nothing, since the line shows the logged metrics."""
        return {}
