"""Keeping the solver of the assignment problems that a run began with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.symmetry.assignment import solver, use_solver
from weightspace.text import call_text

#: Entry of a checkpoint: name of the solver.
KEY = "assignment_solver"


class AssignmentSolver(Callback):
    """Writes the name of the solver of assignment problems to checkpoints, and uses it until a resumed run ends.

    Where it cannot be imported, the first alignment raises a ConfigError; a run that aligns nothing goes on.

    Attributes:
        name: the solver of this fit; None before training starts, unless a checkpoint has been read.
    """

    __repr__ = call_text

    def __init__(self) -> None:
        self.name: str | None = None
        self._replaced: list[str | None] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Forgets the solver of a previous fit."""
        if stage == "fit":
            self.name = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the name of the solver."""
        checkpoint[KEY] = self.name

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Reads the name of the solver; earlier versions, which wrote none, had scipy's."""
        if trainer.state.fn == "fit":
            self.name = checkpoint.get(KEY, "scipy")

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets the solver of this process."""
        self.name = self.name or solver()
        self._replaced.append(use_solver(self.name))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Gives the process back the solver that it had before the training."""
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The same, after an error."""
        self._give_back()

    def _give_back(self) -> None:
        while self._replaced:
            use_solver(self._replaced.pop())
