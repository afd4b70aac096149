"""Seeding every training step, so that its random numbers do not depend on earlier steps."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch import Callback

from weightspace.text import call_text


class StepSeeds(Callback):
    """Seeds the global generators (torch, numpy, random) before every training step from (seed, step, rank), and the
    batch of the step if it has several.

    Dropout is then the same in an interrupted and resumed run, also within an epoch and with several processes, without
    states of generators in checkpoints; and different steps and ranks have different random numbers.

    Args:
        seed: seed of the run, >= 0.
    """

    __repr__ = call_text

    def __init__(self, seed: int) -> None:
        self.seed = seed

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
