"""Principal neighbourhood aggregation (Corso et al., arXiv 2004.05718) of dense layered edges, with its gradient.

Written by hand because the general gradients of minimum, maximum and standard deviation each make several copies of
all edges: here rows and columns share one pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Added to a variance before its root, so that equal messages have a gradient.
EPSILON = 1e-5


def statistics(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, standard deviation, minimum and maximum of the edges of each row and of each column.

    Args:
        edges: (B, n, m, C).

    Returns:
        (B, n, 4 C) over the m entries of each row, and (B, m, 4 C) over the n entries of each column, in float32 or
        more.
    """
    rows, columns = _Statistics.apply(edges)
    return rows, columns


class _Statistics(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Computes both sets of statistics, see ``statistics``."""
        saved, results = [edges], []
        edges = _exact(edges)
        square = edges.square()
        for dim in (2, 1):
            mean = edges.mean(dim)
            deviation = (square.mean(dim) - mean.square()).clamp_(min=0).add_(EPSILON).sqrt_()
            low, where_low = edges.min(dim)
            high, where_high = edges.max(dim)
            results.append(torch.cat([mean, deviation, low, high], dim=-1))
            saved += [mean, deviation, where_low, where_high]
        ctx.save_for_backward(*saved)
        return results[0], results[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """(B, n, m, C) gradient of the edges, from those of both results."""
        given, *saved = ctx.saved_tensors
        edges = _exact(given)
        # mean and deviation: their gradient is constant + slope * edge, in each row and each column
        constants, slopes = [], []
        for dim, gradient, (mean, deviation) in zip((2, 1), gradients, (saved[:2], saved[4:6]), strict=True):
            of_mean, of_deviation, _, _ = gradient.chunk(4, dim=-1)
            count = edges.shape[dim]
            slope = of_deviation / (count * deviation)
            constants.append((of_mean / count - slope * mean).unsqueeze(dim))
            slopes.append(slope.unsqueeze(dim))
        result = (slopes[0] + slopes[1]).mul_(edges).add_(constants[0]).add_(constants[1])
        for dim, gradient, indices in zip((2, 1), gradients, (saved[2:4], saved[6:8]), strict=True):
            for part, index in zip(gradient.chunk(4, dim=-1)[2:], indices, strict=True):
                result.scatter_add_(dim, index.unsqueeze(dim), part.unsqueeze(dim))
        return result.to(given.dtype)


def _exact(edges: Tensor) -> Tensor:
    """At least float32, since a variance as a difference of squares loses digits."""
    return edges.float() if edges.dtype in (torch.bfloat16, torch.float16) else edges
