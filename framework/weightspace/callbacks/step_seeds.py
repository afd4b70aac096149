"""Seeding every training step, so that its random numbers do not depend on earlier steps."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities.seed import isolate_rng

from weightspace.text import call_text


class StepSeeds(Callback):
    """Seeds the global generators (torch, numpy, random) before every training step from (seed, step, rank), and the
    batch of the step if it has several.

    Dropout is then the same in an interrupted and resumed run, also within an epoch and with several processes, without
    states of generators in checkpoints; and different steps and ranks have different random numbers.

    When training ends, or fails, the generators are as they were before its first step: what is drawn afterwards, such
    as the initial weights of another task, does not depend on the seed, nor is it drawn twice.

    Args:
        seed: seed of the run, >= 0.
        initial: whether initial weights are drawn by the seed, too, if the task has none yet; the generators are then
            left as they were before these.
    """

    __repr__ = call_text

    def __init__(self, seed: int, initial: bool = False) -> None:
        self.seed, self.initial = seed, initial
        self._outside: ExitStack | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Seeds the generators for the initial weights, which the task draws after this."""
        if self.initial and stage == "fit":
            self._keep(trainer)
            torch.manual_seed(self.seed % 2**63)
            np.random.seed(self.seed % 2**32)
            random.seed(self.seed)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the states of the generators."""
        self._keep(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds the generators for this step."""
        key: tuple[int, ...] = (self.seed, trainer.global_step, trainer.global_rank)
        if trainer.accumulate_grad_batches > 1:  # several batches are of one step
            key = (*key, batch_idx)
        whole, part = np.random.SeedSequence(key).generate_state(2, np.uint64).tolist()
        torch.manual_seed(whole >> 1)
        np.random.seed(part >> 32)
        random.seed(part)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restores the states of the generators."""
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restores the states of the generators."""
        self._restore()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restores the states of the generators where nothing was left to train."""
        self._restore()

    def _keep(self, trainer: pl.Trainer) -> None:
        if self._outside is None:
            self._outside = ExitStack()
            self._outside.enter_context(isolate_rng(trainer.strategy.root_device.type == "cuda"))

    def _restore(self) -> None:
        if self._outside is not None:
            self._outside.close()
            self._outside = None
