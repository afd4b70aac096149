"""New edges of a ``ScaleGNN`` and the messages that neurons receive from them, with their gradient.

Written by hand because the general gradient keeps the linear map, the gate and both factors of every product for each
edge, and reads them again for every sum over rows or columns: here only the edges before and after are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from weightspace.backbones.linear import linear, linear_gradients

#: Numbers of one edge tensor that are computed at a time: two megabytes of float32, enough for threads to share.
NUMBERS_AT_A_TIME = 2**19


class Ends(NamedTuple):
    """What the edges see of the neurons that they join, for rows (B, n, C) and for columns (B, m, C).

    Args:
        row, column: their product is added to the edge.
        gate_row, gate_column: the sigmoid of their sum scales what is added.
        odd_row, odd_column: odd features, which the new edges multiply in messages.
    """

    row: Tensor
    column: Tensor
    gate_row: Tensor
    gate_column: Tensor
    odd_row: Tensor
    odd_column: Tensor


def edges_and_messages(edge: Tensor, weight: Tensor, bias: Tensor | None, ends: Ends) -> tuple[Tensor, Tensor, Tensor]:
    """Updates edges, and sums their products with odd features over rows and over columns.

        new_ij = e_ij + (weight e_ij + bias + row_i * column_j) * sigmoid(gate_row_i + gate_column_j)
        to_row_i = sum_j new_ij * odd_column_j / sqrt(m)        to_column_j = sum_i new_ij * odd_row_i / sqrt(n)

    Computed in the precision of the edges.

    Args:
        edge: (B, n, m, C).
        weight, bias: (C, C) and (C,) or None.
        ends: features of the neurons.

    Returns:
        (B, n, m, C) new edges, and messages (B, n, C) and (B, m, C).
    """
    weight, *parts = (part.to(edge.dtype) for part in (weight, *ends))
    result: tuple[Tensor, Tensor, Tensor] = _EdgesAndMessages.apply(
        edge, weight, None if bias is None else bias.to(edge.dtype), *parts
    )
    return result


class _EdgesAndMessages(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edge: Tensor, weight: Tensor, bias: Tensor | None, *ends: Tensor) -> tuple[Tensor, ...]:
        """Computes new edges and messages, see ``edges_and_messages``."""
        parts = _split(edge, *ends)
        whole, outs = _outputs(edge, len(parts))
        results = [_update(e, weight, bias, Ends(*part), out) for (e, *part), out in zip(parts, outs, strict=True)]
        news, to_rows, to_columns = zip(*results, strict=True)
        new = news[0] if whole is None else whole
        ctx.has_bias = bias is not None
        ctx.save_for_backward(edge, new, weight, *ends)
        return new, _joined(to_rows), _joined(to_columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments, from those of the three results."""
        edge, new, weight, *ends = ctx.saved_tensors
        _, n, m, _ = edge.shape
        of_new, to_rows, to_columns = gradients
        parts = _split(edge, new, of_new, to_rows * m**-0.5, to_columns * n**-0.5, *ends)
        whole, outs = _outputs(edge, len(parts))
        results = [
            _gradients(weight, ctx.has_bias, (e, after, of_after), (row, column), Ends(*part), out)
            for (e, after, of_after, row, column, *part), out in zip(parts, outs, strict=True)
        ]
        of_edges, of_weight, of_bias, of_ends = zip(*results, strict=True)
        bias = sum(of_bias[1:], of_bias[0]) if ctx.has_bias else None
        joined = [_joined(part) for part in zip(*of_ends, strict=True)]
        of_edge = of_edges[0] if whole is None else whole
        return of_edge, sum(of_weight[1:], of_weight[0]), bias, *joined


def _split(edge: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Parts of a few networks; compiled code takes all at once, since it would be repeated for each part."""
    size = len(edge) if torch.compiler.is_compiling() else _size(edge)
    return list(zip(*(tensor.split(size) for tensor in (edge, *others)), strict=True))


def _size(edge: Tensor) -> int:
    return max(1, NUMBERS_AT_A_TIME // edge[0].numel()) if len(edge) else 1


def _outputs(edge: Tensor, parts: int) -> tuple[Tensor | None, list[Tensor | None]]:
    """A tensor like the edges, and its parts to write to; None for a single part, which gets a tensor of its own."""
    if parts == 1:
        return None, [None]
    whole = torch.empty_like(edge)
    return whole, list(whole.split(_size(edge)))


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _update(
    edge: Tensor, weight: Tensor, bias: Tensor | None, ends: Ends, out: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    added = linear(edge, weight, bias).addcmul_(_rows(ends.row), _columns(ends.column))
    new = torch.addcmul(edge, added, _gate(ends), out=out)
    _, n, m, _ = edge.shape
    to_rows = (new * _columns(ends.odd_column)).sum(2).mul_(m**-0.5)
    to_columns = (new * _rows(ends.odd_row)).sum(1).mul_(n**-0.5)
    return new, to_rows, to_columns


def _gradients(
    weight: Tensor,
    has_bias: bool,
    edges: tuple[Tensor, Tensor, Tensor],
    messages: tuple[Tensor, Tensor],
    ends: Ends,
    out: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor | None, Ends]:
    """Gradients of edges, weight, bias and ends.

    Args:
        weight, has_bias: of the linear map.
        edges: before, after, and the gradient of the latter.
        messages: their gradients, divided by the roots of the numbers of entries that were summed.
        ends: features of the neurons.
        out: where the gradient of the edges is written; None: a new tensor.
    """
    edge, new, of_new = edges
    to_rows, to_columns = messages
    of_odd_row, of_odd_column = (new * _columns(to_columns)).sum(2), (new * _rows(to_rows)).sum(1)
    of_new = torch.addcmul(of_new, _rows(to_rows), _columns(ends.odd_column), out=out)
    of_new = of_new.addcmul_(_rows(ends.odd_row), _columns(to_columns))
    gate = _gate(ends)
    of_added = of_new * gate
    of_row, of_column = (of_added * _columns(ends.column)).sum(2), (of_added * _rows(ends.row)).sum(1)
    # the derivative of the gate is gate (1 - gate), and gate * added is what the edge has grown by
    of_gate = (new - edge) * (of_new - of_added)
    through, of_weight = linear_gradients(edge, weight, of_added)
    of_bias = of_added.flatten(0, 2).sum(0) if has_bias else None
    of_edge = of_new.add_(through)  # as one addmm, compiled code would copy the first term
    gates = of_gate.sum(2), of_gate.sum(1)
    return of_edge, of_weight, of_bias, Ends(of_row, of_column, *gates, of_odd_row, of_odd_column)


def _gate(ends: Ends) -> Tensor:
    return (_rows(ends.gate_row) + _columns(ends.gate_column)).sigmoid_()


def _rows(x: Tensor) -> Tensor:
    return x.unsqueeze(2)


def _columns(x: Tensor) -> Tensor:
    return x.unsqueeze(1)
