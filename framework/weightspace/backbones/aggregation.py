"""Principal neighbourhood aggregation (Corso et al., arXiv 2004.05718) of dense layered edges, with its gradient.

Written by hand because the general gradients of minimum, maximum and standard deviation each make several copies of
all edges: here the gradient of all four, of rows and of columns, is one sum over the edges. Where a minimum lies is
not kept: finding positions takes thirty times as long as finding values, and of equal edges it would choose one by
its position, which a permutation changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Added to a variance before its root, so that equal messages have a gradient.
EPSILON = 1e-5
#: Edges this close to a minimum or maximum, in units of its rounding error, share its gradient evenly.
ROUNDING = 16


def statistics(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Computes mean, standard deviation, minimum and maximum of the edges of each row and of each column.

    Args:
        edges: (B, n, m, C), float32 or more, since a variance as a difference of squares loses digits.

    Returns:
        (B, n, 4 C) over the m entries of each row, and (B, m, 4 C) over the n entries of each column.
    """
    square = edges.square()
    return _over(2, edges, square), _over(1, edges, square)


def _over(dim: int, edges: Tensor, square: Tensor) -> Tensor:
    mean = edges.mean(dim)
    deviation = (square.mean(dim) - mean.square()).clamp_(min=0).add_(EPSILON).sqrt_()
    return torch.cat([mean, deviation, edges.amin(dim), edges.amax(dim)], dim=-1)


def statistics_gradient(
    edges: Tensor, results: tuple[Tensor, Tensor], gradients: tuple[Tensor | None, Tensor | None]
) -> Tensor:
    """Computes the gradient of the edges from those of their statistics.

    Edges that are equal up to rounding share the gradient of their minimum or maximum.

    Args:
        edges: (B, n, m, C), as ``statistics`` had them.
        results: what it returned.
        gradients: of the results; None: zero.

    Returns:
        (B, n, m, C).
    """
    given = [torch.zeros_like(a) if b is None else b for a, b in zip(results, gradients, strict=True)]
    mask = torch.empty_like(edges)
    row, column = (_coefficients(*parts, edges, mask) for parts in zip((2, 1), results, given, strict=True))
    # mean and deviation: constant + slope * edge, in each row and each column
    gradient = (row[0] + column[0]).mul_(edges).add_(row[1]).add_(column[1])
    for _, _, low, high, of_low, of_high in (row, column):
        gradient.addcmul_(torch.le(edges, low, out=mask), of_low)
        gradient.addcmul_(torch.ge(edges, high, out=mask), of_high)
    return gradient


def _coefficients(dim: int, result: Tensor, gradient: Tensor, edges: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    """Slope, constant, bounds of the lowest and the highest edges, and each one's share of their gradients.

    Args:
        dim: that the statistics reduce.
        result, gradient: of the statistics over it.
        edges: (B, n, m, C).
        mask: memory of the same shape.

    Returns:
        6 tensors that broadcast to the edges.
    """
    mean, deviation, low, high = result.chunk(4, dim=-1)
    of_mean, of_deviation, of_low, of_high = gradient.chunk(4, dim=-1)
    slope = of_deviation / (edges.shape[dim] * deviation)
    constant = of_mean / edges.shape[dim] - slope * mean
    # compiled code may compute the edges of the backward pass in another order of rounding
    tolerance = ROUNDING * torch.finfo(edges.dtype).eps
    low, high = low + tolerance * low.abs(), high - tolerance * high.abs()
    lowest = torch.le(edges, low.unsqueeze(dim), out=mask).sum(dim).clamp_(min=1)
    highest = torch.ge(edges, high.unsqueeze(dim), out=mask).sum(dim).clamp_(min=1)
    # one tensor in memory: compiled code would otherwise divide once for each edge
    joined = torch.cat([slope, constant, low, high, of_low / lowest, of_high / highest], dim=-1)
    return joined.unsqueeze(dim).chunk(6, dim=-1)
