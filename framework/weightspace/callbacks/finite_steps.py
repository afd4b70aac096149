"""Handling training steps whose loss or gradients are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from weightspace.batch import WeightBatch
from weightspace.checks import check_choice
from weightspace.distributed import ask, in_any_process
from weightspace.errors import NonFiniteError
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import shares_gradients, skips_steps_itself
from weightspace.runs.stopping import end_together
from weightspace.tasks import Task
from weightspace.text import call_text

CHOICES = ("stop", "skip")


class FiniteSteps(Callback):
    """Checks loss and gradients before each optimiser step, so that no weight becomes NaN.

    A step that is not finite, in any process, stops the run with ``NonFiniteError``; or it is skipped and counted
    (``train/skipped_steps``). In both cases each process writes the networks of the step to
    ``nonfinite/step-<step>-process-<rank>.json``.

    Args:
        folder: folder of the run.
        nonfinite: "stop" or "skip".

    Raises:
        ConfigError: ``nonfinite`` has another value.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, nonfinite: str = "stop") -> None:
        check_choice("nonfinite", nonfinite, CHOICES)
        self.folder, self.nonfinite, self.skipped = folder, nonfinite, 0
        self._batches: list[WeightBatch] = []
        self._losses: list[Tensor] = []
        self._asked: list[Callable[[], bool]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forgets the step at which an earlier fit with this callback has stopped."""
        self._batches, self._losses, self._asked = [], [], []
        if isinstance(pl_module, Task):
            pl_module.skips_steps = self.nonfinite == "skip"

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Records the networks of the batch."""
        self._batches.append(batch[0] if isinstance(batch, tuple) else batch)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Records the loss of the batch, and begins to ask whether it is finite everywhere, meanwhile."""
        self._losses.append(loss.detach())
        self._asked.append(ask(~loss.detach().isfinite().all()))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Checks losses and gradients of all batches of this step."""
        if self._is_bad(trainer, pl_module):
            self._answer(trainer, pl_module)
        self._batches, self._losses, self._asked = [], [], []

    def _is_bad(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> bool:
        """Whether a loss or a gradient of this step is not finite in any process."""
        losses = [asked() for asked in self._asked]  # all of them: every process hears every answer
        if skips_steps_itself(trainer):
            return any(losses)
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        largest = get_total_norm(gradients, float("inf"))  # a single number to synchronise; NaN if there is any
        bad = any(losses) or not bool(largest.isfinite())
        return bad if shares_gradients(trainer) else in_any_process(bad, pl_module.device)

    def state_dict(self) -> dict[str, Any]:
        """Returns the number of skipped steps."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the number of skipped steps from a checkpoint."""
        self.skipped = state_dict["skipped"]

    def _answer(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step, losses = trainer.global_step, [float(loss) for loss in self._losses]
        name = f"nonfinite/step-{step:08d}-process-{trainer.global_rank}.json"
        self.folder.write_json(name, {
            "step": step,
            "epoch": trainer.current_epoch,
            "losses": [str(loss) for loss in losses],
            "networks": [
                {"object": o, "view": v}
                for batch in self._batches
                for o, v in zip(_listed(batch.objects), _listed(batch.views), strict=True)
            ],
        })  # fmt: skip
        if self.nonfinite == "stop":
            end_together(trainer, NonFiniteError(self._message(trainer, losses, name)))
        self.skipped += 1
        for parameter in pl_module.parameters():
            parameter.grad = None
        pl_module.log("train/skipped_steps", float(self.skipped), on_step=True, on_epoch=False)

    def _message(self, trainer: pl.Trainer, losses: list[float], name: str) -> str:
        """What is not finite in this step, how many networks are, and what can be done."""
        said, good = ", ".join(map(str, losses)), self.folder.steps()
        what = f"its loss is {said}"
        if all(map(math.isfinite, losses)):
            what = f"a gradient is NaN or infinite, or a loss in another process (here the loss is {said})"
        count, bad = sum(map(len, self._batches)), sum(_not_finite(batch) for batch in self._batches)
        weights = f"{bad} have weights that are NaN or infinite" if bad else "their own weights are all finite"
        return (
            f"step {trainer.global_step} (epoch {trainer.current_epoch}) was not made: {what}. Of its {count} "
            f"networks, which {self.folder.path / name} lists, {weights}. "
            + (f"The last good checkpoint is {good[-1]}. " if good else "No checkpoint has been written yet. ")
            + "Try a lower learning rate or trainer.gradient_clip_val, or leave such steps out (--nonfinite skip)"
        )


def _not_finite(batch: WeightBatch) -> int:
    return int((~batch.params.isfinite().all(1)).sum())


def _listed(numbers: Tensor | None) -> list[int]:
    return [] if numbers is None else numbers.tolist()
