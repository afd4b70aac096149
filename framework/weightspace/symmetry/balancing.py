"""Balancing the rows and columns of assignment problems before a solver sees them."""

from __future__ import annotations

import torch
from torch import Tensor

#: First temperature, in units of the mean cost; rounds at each temperature, a quarter of the one before.
TEMPERATURE, ROUNDS = 0.2, (3, 3)


def balanced(scores: Tensor) -> Tensor:
    """Costs from which numbers per row and per column were taken, so that each row and column has entries near zero.

    The numbers are the potentials of the entropic relaxation of the assignment (Sinkhorn's algorithm, a few rounds),
    close to the dual solution that a solver would otherwise build up from zero. A balanced kernel to the fourth power
    is the kernel at a quarter of the temperature: no further exponentials.

    Args:
        scores: (B, n, n), finite.

    Returns:
        (B, n, n); the assignments of least total cost are those of the largest total score.
    """
    least = torch.finfo(scores.dtype).tiny
    row_potentials = scores.amax(2, keepdim=True)
    mean = row_potentials.mean((1, 2), keepdim=True) - scores.mean((1, 2), keepdim=True)
    scale = (TEMPERATURE * mean).clamp_(min=least)
    kernel = torch.sub(scores, row_potentials).div_(scale).exp_()
    rows, columns = torch.ones_like(row_potentials), torch.ones_like(scores[:, :1])
    column_potentials = torch.zeros_like(columns)
    for stage, rounds in enumerate(ROUNDS):
        if stage:  # no subnormal numbers, which are slow
            kernel.mul_(rows).mul_(columns).clamp_(min=1e-9).square_().square_()
            scale, columns = scale / 4, torch.ones_like(columns)
        for _ in range(rounds):  # columns from the left: a product with the transposed kernel takes ten times as long
            rows = (kernel @ columns.transpose(1, 2)).clamp_(min=least).reciprocal_()
            columns = (rows.transpose(1, 2) @ kernel).clamp_(min=least).reciprocal_()
        row_potentials = row_potentials - scale * rows.log()
        column_potentials = column_potentials - scale * columns.log()
    return torch.sub(row_potentials, scores, out=kernel).add_(column_potentials)
