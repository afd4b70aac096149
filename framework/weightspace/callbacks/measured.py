"""What a run reports of its metrics."""

from __future__ import annotations

import lightning.pytorch as pl

#: How metrics of a single step end: they are curves in TensorBoard, and nothing that an epoch or a run is described by.
STEP = "_step"


def measured(trainer: pl.Trainer) -> dict[str, float]:
    """Metrics of the last epoch by name, without those of single steps. All processes compute them together."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith(STEP)}
