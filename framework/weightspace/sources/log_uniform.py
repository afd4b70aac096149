"""Log-uniform random numbers, of which hyperparameters are drawn."""

from __future__ import annotations

import numpy as np


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high], both > 0, whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
