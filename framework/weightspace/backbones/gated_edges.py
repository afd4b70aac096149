"""The edge update of the graph network together with the statistics of its result, as one operation.

One, so that the gradients of both share their passes over the edges, which cost more than the products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from weightspace.backbones.aggregation import statistics, statistics_gradient
from weightspace.backbones.linear import linear


def gated_edges(edges: Tensor, weight: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scales edges e by 1 + tanh(weight e + rows + columns), and aggregates them.

    Args:
        edges: (B, n, m, C).
        weight: (C, C).
        rows: (B, n, C).
        columns: (B, m, C).

    Returns:
        The edges (B, n, m, C), and their ``statistics`` (B, n, 4 C) and (B, m, 4 C), in float32 or more.
    """
    # expanded before the product, so that autograd sums their gradients after that of the product: in compiled code the
    # sums then read what the product has read, instead of computing it again
    rows, columns = rows.unsqueeze(2).expand_as(edges), columns.unsqueeze(1).expand_as(edges)
    own = linear(edges, weight)
    result, of_rows, of_columns = _GatedEdges.apply(edges, own, rows, columns)
    return result, of_rows, of_columns


class _GatedEdges(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edges: Tensor, own: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the edges and both sets of statistics, see ``gated_edges``; all inputs are (B, n, m, C)."""
        # 1 + tanh(x) = 2 sigmoid(2 x): no difference of nearly equal numbers, and a tenth of the time of tanh
        gate = torch.add(_exact(own), rows).add_(columns).mul_(2).sigmoid_().mul_(2)
        result = edges * gate
        of_rows, of_columns = statistics(result)
        ctx.save_for_backward(edges, gate, of_rows, of_columns)
        ctx.set_materialize_grads(False)
        ctx.dtypes = [x.dtype for x in (own, rows, columns)]
        return result.to(edges.dtype), of_rows, of_columns

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_result: Tensor | None, of_rows: Tensor | None, of_columns: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Gradients (B, n, m, C) of all inputs."""
        edges, gate, *results = ctx.saved_tensors
        result = edges * gate
        gradient = statistics_gradient(result, tuple(results), (of_rows, of_columns))
        if of_result is not None:
            gradient.add_(of_result)
        of_own = (2 - gate).mul_(result).mul_(gradient)
        return gradient.mul_(gate).to(edges.dtype), *(of_own.to(dtype) for dtype in ctx.dtypes)


def _exact(x: Tensor) -> Tensor:
    """At least float32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
