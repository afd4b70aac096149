"""Random numbers that depend on where training stands, not on what ran before."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch import Callback


class StepSeeds(Callback):
    """Seeds the global generators (torch, numpy, random) before every training step from (seed, step, rank).

    Dropout then draws the same in a run that was cut and resumed, in the middle of an epoch and in any number of
    processes, without any generator's state in the checkpoint; and no two steps or ranks draw alike.

    Args:
        seed: of the run, >= 0.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds."""
        key = (self.seed, trainer.global_step, trainer.global_rank)
        whole, part = np.random.SeedSequence(key).generate_state(2, np.uint64).tolist()
        torch.manual_seed(whole >> 1)
        np.random.seed(part >> 32)
        random.seed(part)
