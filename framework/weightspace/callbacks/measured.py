"""The metrics that a run reports."""

from __future__ import annotations

import lightning.pytorch as pl

#: Suffixes of metrics of single steps, which are curves in TensorBoard and not reported for epochs or runs.
STEP = "_step"


def measured(trainer: pl.Trainer) -> dict[str, float]:
    """Metrics of the last epoch by name, without those of single steps; a collective operation of all processes."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith(STEP)}
