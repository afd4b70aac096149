"""Means over networks that are synchronised between processes once per epoch."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class WeightedMean(Metric):
    """The mean of batch means over an epoch and all processes, weighted by the numbers of networks.

    An update waits for neither other processes nor the device. Half-precision means are accumulated in float32.

    Args:
        dtype: dtype of the means.

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

    def update(self, mean: Tensor, count: int, finite: bool = False) -> None:
        """Adds the mean of ``count`` networks; the mean of none, which is NaN, is ignored.

        Args:
            mean: of a batch.
            count: number of its networks.
            finite: whether a mean that is not finite is left out with its networks.
        """
        if not count:
            return
        mean = mean.detach()
        added = mean.isfinite().to(self.count) if finite else 1.0
        self.total += (mean.nan_to_num(0.0, 0.0, 0.0) if finite else mean) * count
        self.count += added * count

    def compute(self) -> Tensor:
        """Returns the mean; NaN if there were no networks."""
        return self.total / self.count
