"""Means over networks, which the processes of a run share once an epoch."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class WeightedMean(Metric):
    """The mean of batches' means, weighted by their networks: over an epoch, and over all processes.

    An update waits for nothing: no other process, no device. In half precision it counts in float32.

    Args:
        dtype: of the means.

    >>> mean = WeightedMean()
    >>> mean.update(torch.tensor(1.0), 3)
    >>> mean.update(torch.tensor(5.0), 1)
    >>> float(mean.compute())
    2.0
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        exact = torch.promote_types(dtype, torch.float32)
        for name in ("total", "count"):
            self.add_state(name, torch.zeros((), dtype=exact), "sum")

    def update(self, mean: Tensor, count: int) -> None:
        """Adds the mean of so many networks; that of none, which is NaN, adds nothing."""
        if not count:
            return
        self.total += mean.detach() * count
        self.count += count

    def compute(self) -> Tensor:
        """The mean; NaN where there were no networks."""
        return self.total / self.count
