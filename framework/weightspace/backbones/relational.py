"""Scores and sums of relational attention (Diao and Loynd, arXiv 2210.05062) on dense edges, with their gradients.

Written by hand because what is computed for each edge is several times as wide as the edge: here it is computed again
in the backward pass, a few networks at a time, instead of being kept. Compiled code takes the gradient of the
plain form, since the one by hand is no faster there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from weightspace.backbones.linear import linear, linear_gradients

#: Numbers of all heads on the edges that are computed at a time: four megabytes of float32, which threads can share.
NUMBERS_AT_A_TIME = 2**20


def scores(edge: Tensor, weight: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Products (query_i + Q e_ij) . (key_j + K e_ij) of each head.

    Args:
        edge: (B, n, m, E).
        weight: (2 H S, E): Q, then K.
        query, key: (B, n, H, S) and (B, m, H, S).

    Returns:
        (B, n, m, H), in the precision of the edges.
    """
    arguments = _alike(edge, weight, query, key)
    if torch.compiler.is_compiling():
        of_edge = linear(*arguments[:2]).unflatten(3, (2, *query.shape[2:]))
        queries, keys = of_edge.unbind(3)  # not changed in place: torch forbids it for a gradient by hand
        return ((queries + query.unsqueeze(2)) * (keys + key.unsqueeze(1))).sum(-1)
    result: Tensor = _Scores.apply(*arguments)
    return result


def weighted_sum(edge: Tensor, weight: Tensor, attention: Tensor, value: Tensor) -> Tensor:
    """Sums over j of attention_ij * value_j * (F e_ij).

    Args:
        edge: (B, n, m, E).
        weight: (H S, E): F.
        attention: (B, n, m, H).
        value: (B, m, H, S).

    Returns:
        (B, n, H, S), in the precision of the edges.
    """
    arguments = _alike(edge, weight, attention, value)
    if torch.compiler.is_compiling():
        return _products(*arguments).sum(2)
    result: Tensor = _WeightedSum.apply(*arguments)
    return result


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edge: Tensor, weight: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """Computes the products, see ``scores``."""
        ctx.save_for_backward(edge, weight, query, key)
        parts = []
        for e, q, k in _split(query.shape[2:].numel(), edge, query, key):
            queries, keys = _queries_and_keys(e, weight, q, k).unbind(3)
            parts.append(queries.mul_(keys).sum(-1))
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Gradients of all four arguments."""
        edge, weight, query, key = ctx.saved_tensors
        # the gradient of the queries are the keys times that of the scores, and vice versa
        exchanged = torch.cat(weight.chunk(2)[::-1])
        results = []
        for e, q, k, given in _split(query.shape[2:].numel(), edge, query, key, gradient):
            both = _queries_and_keys(e, weight, q, k).mul_(given.unsqueeze(3).unsqueeze(-1))
            of_edge, of_exchanged = linear_gradients(e, exchanged, both.flatten(3))
            of_keys, of_queries = both.unbind(3)
            results.append((of_edge, of_exchanged, of_queries.sum(2), of_keys.sum(1)))
        of_edge, of_exchanged, of_query, of_key = _gathered(results)
        return of_edge, torch.cat(of_exchanged.chunk(2)[::-1]), of_query, of_key


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edge: Tensor, weight: Tensor, attention: Tensor, value: Tensor) -> Tensor:
        """Computes the sums, see ``weighted_sum``."""
        ctx.save_for_backward(edge, weight, attention, value)
        parts = []
        for e, a, v in _split(value.shape[2:].numel(), edge, attention, value):
            parts.append(_products(e, weight, a, v).sum(2))
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Gradients of all four arguments."""
        edge, weight, attention, value = ctx.saved_tensors
        results = []
        for e, a, v, given in _split(value.shape[2:].numel(), edge, attention, value, gradient):
            a, v, given = a.unsqueeze(-1), v.unsqueeze(1), given.unsqueeze(2)
            factor = linear(e, weight).unflatten(3, v.shape[3:]).mul_(given)
            of_attention, of_value = (factor * v).sum(-1), (factor * a).sum(1)
            of_edge, of_weight = linear_gradients(e, weight, (a * given).mul_(v).flatten(3))
            results.append((of_edge, of_weight, of_attention, of_value))
        return _gathered(results)


def _queries_and_keys(edge: Tensor, weight: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """(B, n, m, 2, H, S) queries and keys of each edge."""
    both = linear(edge, weight).unflatten(3, (2, *query.shape[2:]))
    both.select(3, 0).add_(query.unsqueeze(2))
    both.select(3, 1).add_(key.unsqueeze(1))
    return both


def _products(edge: Tensor, weight: Tensor, attention: Tensor, value: Tensor) -> Tensor:
    """(B, n, m, H, S) values of each edge, times attention."""
    return linear(edge, weight).unflatten(3, value.shape[2:]) * value.unsqueeze(1) * attention.unsqueeze(-1)


def _alike(edge: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """All in the precision of the edges."""
    return edge, *(tensor.to(edge.dtype) for tensor in others)


def _split(width: int, edge: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Parts of a few networks, from the numbers of all heads on one edge."""
    size = max(1, NUMBERS_AT_A_TIME // max(1, width * edge[:1, ..., 0].numel()))
    return list(zip(*(tensor.split(size) for tensor in (edge, *others)), strict=True))


def _gathered(results: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Gradients of edges, weight and two others, from those of each part: the weight's are added."""
    of_edge, of_weight, *others = zip(*results, strict=True)
    edge, *rest = (torch.cat(parts) for parts in (of_edge, *others))
    return edge, sum(of_weight[1:], of_weight[0]), *rest
