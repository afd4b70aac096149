"""VICReg, a loss of pairs that needs no negatives: it keeps the coordinates of embeddings spread and uncorrelated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.distributed import gather

#: Weights of invariance, variance and covariance in the paper.
WEIGHTS = (25.0, 25.0, 1.0)
#: Added to variances before the root, whose gradient has no bound at 0.
_EPSILON = 1e-4


class VICRegTerms(NamedTuple):
    """The three terms of VICReg, each () and >= 0.

    Attributes:
        invariance: mean squared difference between the coordinates of the two rows of a pair.
        variance: mean over coordinates of ``max(0, 1 - standard deviation)``, for both batches together: 0 to 2.
        covariance: sum of the squared covariances between different coordinates, divided by D, for both together.
    """

    invariance: Tensor
    variance: Tensor
    covariance: Tensor

    def weighted(self, weights: Sequence[float]) -> Tensor:
        """The sum of the terms times their weights."""
        invariance, variance, covariance = weights
        return invariance * self.invariance + variance * self.variance + covariance * self.covariance


def vicreg(first: Tensor, second: Tensor, weights: Sequence[float] = WEIGHTS) -> Tensor:
    """Variance-invariance-covariance regularisation (Bardes et al., arXiv 2105.04906, algorithm 1).

    Rows i of ``first`` and ``second`` are a positive pair. The statistics are those of the rows of all processes, so
    that each process returns the loss of the global batch; the mean of their gradients, which DDP computes, is its
    gradient.

    Args:
        first, second: (n, D) projections, which are not normalised; n may differ between processes.
        weights: of invariance, variance and covariance.

    >>> rows = 2 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> float(vicreg(rows, rows)), float(vicreg(rows, rows + 1))  # spread, uncorrelated: only the pairs are apart
    (0.0, 25.0)
    """
    return vicreg_terms(first, second).weighted(weights)


def vicreg_terms(first: Tensor, second: Tensor, sizes: list[int] | None = None) -> VICRegTerms:
    """The terms of ``vicreg`` over the rows of all processes, the same in each of them.

    A single row has neither variance nor covariance: both terms are 0 then.

    Args:
        first, second: see ``vicreg``.
        sizes: n of each process, if all know them, see ``gather``.
    """
    # sums of squares need more precision than half of it; autocast would take it for the product
    with torch.autocast(first.device.type, enabled=False):
        own = torch.stack([first, second], dim=1)
        pairs, _ = gather(own.to(torch.promote_types(own.dtype, torch.float32)), sizes)  # (N, 2, D)
        invariance = (pairs[:, 0] - pairs[:, 1]).square().mean()
        if len(pairs) < 2:
            return VICRegTerms(invariance, invariance.new_zeros(()), invariance.new_zeros(()))
        rows = (pairs - pairs.mean(0)).transpose(0, 1)  # (2, N, D)
        covariances = rows.mT @ rows / (len(pairs) - 1)
        variances = covariances.diagonal(dim1=1, dim2=2)  # (2, D)
        spread = F.relu(1 - (variances + _EPSILON).sqrt()).mean(1).sum()
        correlated = (covariances - variances.diag_embed()).square().sum() / rows.shape[2]
        return VICRegTerms(invariance, spread, correlated)
