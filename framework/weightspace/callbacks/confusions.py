"""Confusion matrices of a classifier at the end of an evaluation."""

from __future__ import annotations

from typing import Any, cast

import lightning.pytorch as pl
from torch import Tensor


def confusions(trainer: pl.Trainer, pl_module: pl.LightningModule) -> tuple[dict[str, Tensor], list[str]]:
    """Computes the confusion matrices together with all other processes.

    Returns:
        (K, K) counts by split in the first process, and the names of the K classes. In the other processes, and for a
        task without classes, there are no matrices.
    """
    compute = getattr(pl_module, "confusions", None)
    names = getattr(cast(Any, trainer).datamodule, "class_names", None)
    if compute is None or names is None:
        return {}, []
    matrices = compute()
    return matrices if trainer.is_global_zero else {}, names
