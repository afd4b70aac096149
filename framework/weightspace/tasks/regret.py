"""What it costs to choose networks by their predictions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

#: Number of networks of which one is chosen.
CANDIDATES = 10


class Regret(Metric):
    """By how much the target of the network of largest prediction is below the largest target, of ten at random.

    The mean over all sets of ten of the n networks, exactly; equal predictions are decided by chance. Of fewer than ten
    networks, one of all is chosen. With several targets, the mean over them. NaN if a prediction is.

    >>> regret = Regret(candidates=2)
    >>> regret.update(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([3.0, 5.0, 4.0]))
    >>> round(float(regret.compute()), 3)  # of the three pairs, one is chosen wrongly, by 1
    0.333
    """

    higher_is_better = False
    full_state_update = False

    predictions: list[Tensor]
    targets: list[Tensor]

    def __init__(self, candidates: int = CANDIDATES, **options: Any) -> None:
        super().__init__(**options)
        self.candidates = candidates
        self.add_state("predictions", default=[], dist_reduce_fx="cat")
        self.add_state("targets", default=[], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Adds (B,) or (B, T) predictions and targets; B may be 0."""
        for known, new in ((self.predictions, predictions), (self.targets, targets)):
            known.append(new.detach().double().unsqueeze(1).flatten(1))

    def compute(self) -> Tensor:
        """The mean regret, >= 0, in units of the targets."""
        predictions, targets = dim_zero_cat(self.predictions), dim_zero_cat(self.targets)
        if predictions.isnan().any():  # which a sort would take for the largest
            return targets.new_tensor(torch.nan)
        chance = chosen_by_rank(len(targets), min(self.candidates, len(targets))).to(targets)
        columns = zip(predictions.T, targets.T, strict=True)
        regrets = [chance @ (target.sort(descending=True).values - _by_rank(p, target)) for p, target in columns]
        return torch.stack(regrets).mean()


def chosen_by_rank(count: int, candidates: int) -> Tensor:
    """(n,) chances that the r-th best of n networks is the best of k that are drawn from them, r = 0, 1, ...

    C(n - 1 - r, k - 1) / C(n, k): it is drawn, and all others from those behind it.

    >>> chosen_by_rank(3, 2)
    tensor([0.6667, 0.3333, 0.0000], dtype=torch.float64)
    """
    chances, left = [], 1.0
    for rank in range(count):
        drawn = candidates / (count - rank) if count - rank >= candidates else 1.0
        chances.append(left * drawn)
        left *= 1.0 - drawn
    return torch.tensor(chances, dtype=torch.float64)


def _by_rank(predictions: Tensor, targets: Tensor) -> Tensor:
    """(n,) targets in the order of falling predictions; of equal predictions, each has the mean."""
    order = predictions.argsort(descending=True)
    _, ties, counts = predictions[order].unique_consecutive(return_inverse=True, return_counts=True)
    means = torch.zeros(len(counts)).to(targets).index_add_(0, ties, targets[order]) / counts
    return means[ties]
