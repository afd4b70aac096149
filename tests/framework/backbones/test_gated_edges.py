"""Gated edges and their statistics against plain formulas and torch's own gradients, with and without ties."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from weightspace.backbones.aggregation import EPSILON, statistics, statistics_gradient
from weightspace.backbones.gated_edges import gated_edges

SHAPE = (2, 4, 3, 5)


def plain_statistics(edges: Tensor) -> tuple[Tensor, ...]:
    """By torch's operations, whose gradients share minima and maxima evenly among equal edges."""
    parts = [
        [edges.mean(dim), (edges.var(dim, correction=0) + EPSILON).sqrt(), edges.amin(dim), edges.amax(dim)]
        for dim in (2, 1)
    ]
    return tuple(torch.cat(part, dim=-1) for part in parts)


def plain(edges: Tensor, weight: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, ...]:
    result = edges * (1 + torch.tanh(edges @ weight.T + rows.unsqueeze(2) + columns.unsqueeze(1)))
    return result, *plain_statistics(result)


def inputs(ties: bool) -> list[Tensor]:
    """Random numbers; with ties, of few values, so that many edges of a row and of a column are equal."""
    generator = torch.Generator().manual_seed(0)
    batch, n, m, size = SHAPE
    result = []
    for shape in (SHAPE, (size, size), (batch, n, size), (batch, m, size)):
        x = torch.randn(shape, dtype=torch.float64, generator=generator)
        result.append((x > 0).double() if ties else x)
    return [x.requires_grad_() for x in result]


def gradients(function, given: list[Tensor], seeds: tuple[Tensor, ...]) -> list[Tensor]:
    return list(torch.autograd.grad(function(*given), given, seeds))


def seeds_of(results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in results)


@pytest.mark.parametrize("ties", [False, True])
def test_results_and_gradients_are_those_of_the_formula(ties) -> None:
    given = inputs(ties)
    expected, found = plain(*given), gated_edges(*given)
    seeds = seeds_of(expected)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    for a, b in zip(gradients(plain, given, seeds), gradients(gated_edges, given, seeds), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("used", [0, 1, 2])
def test_results_that_nobody_reads_have_no_gradient(used) -> None:
    given = inputs(ties=False)
    expected = torch.autograd.grad(plain(*given)[used].square().sum(), given)
    found = torch.autograd.grad(gated_edges(*given)[used].square().sum(), given)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_the_gradient_is_that_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(gated_edges, inputs(ties=False))


def test_gradients_of_ties_move_with_the_neurons() -> None:
    given = inputs(ties=True)
    seeds = seeds_of(gated_edges(*given))
    rows, columns = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])

    def permuted(edges: Tensor, weight: Tensor, row: Tensor, column: Tensor) -> list[Tensor]:
        return [edges[:, rows][:, :, columns], weight, row[:, rows], column[:, columns]]

    moved = [x.detach().requires_grad_() for x in permuted(*given)]
    found = gradients(gated_edges, moved, (seeds[0][:, rows][:, :, columns], seeds[1][:, rows], seeds[2][:, columns]))
    for a, b in zip(permuted(*gradients(gated_edges, given, seeds)), found, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_edges_that_rounding_distinguishes_share_the_gradient_of_their_minimum() -> None:
    edges = torch.tensor([1.0, 1.0 + 1e-15, 2.0], dtype=torch.float64).view(1, 1, 3, 1)
    results = statistics(edges)
    of_low = torch.zeros_like(results[0])
    of_low[..., 2] = 1.0
    assert statistics_gradient(edges, results, (of_low, None)).flatten().tolist() == [0.5, 0.5, 0.0]


def test_equal_edges_have_a_gradient() -> None:
    constant = torch.zeros(1, 3, 2, 4, dtype=torch.float64)
    results = statistics(constant)
    gradient = statistics_gradient(constant, results, (torch.ones_like(results[0]), torch.ones_like(results[1])))
    assert gradient.isfinite().all()


def test_bfloat16_is_close_to_float32() -> None:
    given = [x.detach().float().requires_grad_() for x in inputs(ties=False)]
    short = [x.detach().bfloat16().requires_grad_() for x in given]
    expected, found = plain(*given), gated_edges(*short)
    assert [x.dtype for x in found] == [torch.bfloat16, torch.float32, torch.float32]
    seeds = seeds_of(expected)
    # the minimum may be another edge of nearly the same value, so only mean and deviation are compared
    seeds = (seeds[0], *(torch.cat([x[..., :10], 0 * x[..., 10:]], dim=-1) for x in seeds[1:]))
    short_seeds = (seeds[0].bfloat16(), *seeds[1:])
    for a, b in zip(expected, found, strict=True):
        assert (a - b).abs().max() < 0.02 * a.abs().max()
    for a, b in zip(gradients(plain, given, seeds), gradients(gated_edges, short, short_seeds), strict=True):
        assert b.dtype is torch.bfloat16
        assert (a - b).abs().max() < 0.03 * a.abs().max()


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_code_loses_no_gradient(dtype) -> None:
    # compiled code computes the edges of the backward pass again: a minimum must still be found among them
    torch.manual_seed(0)
    shapes = ((3, 9, 7, 12), (12, 12), (3, 9, 12), (3, 7, 12))
    given = [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]
    seeds = seeds_of(gated_edges(*given))
    compiled = torch.compile(gated_edges)
    for a, b in zip(gradients(gated_edges, given, seeds), gradients(compiled, given, seeds), strict=True):
        assert (a - b).abs().max() < (1e-4 if dtype is torch.float32 else 0.03) * a.abs().max()
