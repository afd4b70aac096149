"""Scores and sums of relational attention against einsum, and their gradients against differences."""

from __future__ import annotations

import pytest
import torch
from weightspace.backbones import relational
from weightspace.backbones.relational import scores, weighted_sum

COUNT, ROWS, COLUMNS, EDGE, HEADS, SIZE = 3, 2, 3, 2, 2, 2


def draw(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(shape) + sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)


@pytest.fixture(params=[1, 2, 1000], ids="{} networks at a time".format, autouse=True)
def parts(request, monkeypatch) -> None:
    monkeypatch.setattr(relational, "NUMBERS_AT_A_TIME", request.param * ROWS * COLUMNS * HEADS * SIZE)


def test_scores_are_products_of_queries_and_keys() -> None:
    arguments = [
        draw(COUNT, ROWS, COLUMNS, EDGE),
        draw(2 * HEADS * SIZE, EDGE),
        draw(COUNT, ROWS, HEADS, SIZE),
        draw(COUNT, COLUMNS, HEADS, SIZE),
    ]
    edge, weight, query, key = arguments
    q, k = weight.view(2, HEADS, SIZE, EDGE)
    queries = query.unsqueeze(2) + torch.einsum("hse,bije->bijhs", q, edge)
    keys = key.unsqueeze(1) + torch.einsum("hse,bije->bijhs", k, edge)
    assert torch.allclose(scores(*arguments), torch.einsum("bijhs,bijhs->bijh", queries, keys), atol=1e-12)
    assert torch.autograd.gradcheck(scores, arguments)


def test_sums_are_weighted_with_attention() -> None:
    arguments = [
        draw(COUNT, ROWS, COLUMNS, EDGE),
        draw(HEADS * SIZE, EDGE),
        draw(COUNT, ROWS, COLUMNS, HEADS),
        draw(COUNT, COLUMNS, HEADS, SIZE),
    ]
    edge, weight, attention, value = arguments
    maps = weight.view(HEADS, SIZE, EDGE)
    expected = torch.einsum("bijh,bjhs,hse,bije->bihs", attention, value, maps, edge)
    assert torch.allclose(weighted_sum(*arguments), expected, atol=1e-12)
    assert torch.autograd.gradcheck(weighted_sum, arguments)


@pytest.mark.parametrize("function", [scores, weighted_sum])
def test_compiled_code_gives_the_same(function) -> None:
    third = (COUNT, ROWS, HEADS, SIZE) if function is scores else (COUNT, ROWS, COLUMNS, HEADS)
    weight = draw((2 if function is scores else 1) * HEADS * SIZE, EDGE)
    arguments = [draw(COUNT, ROWS, COLUMNS, EDGE), weight, draw(*third), draw(COUNT, COLUMNS, HEADS, SIZE)]
    results = []
    for form in (function, torch.compile(function, backend="aot_eager")):
        result = form(*arguments)
        results.append([result, *torch.autograd.grad(result.square().sum(), arguments)])
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*results, strict=True))
