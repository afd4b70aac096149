from __future__ import annotations

import math

import pytest
import torch
from weightspace.tasks.vicreg import WEIGHTS, vicreg, vicreg_terms


def projections(count: int = 5, width: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = 0.7 * torch.randn(2, count, width, generator=generator, dtype=torch.float64)
    return first, second


def reference(first: torch.Tensor, second: torch.Tensor) -> tuple[float, float, float]:
    """The terms of algorithm 1 as sums over single numbers."""
    n, width = first.shape
    invariance = sum(float(first[i, j] - second[i, j]) ** 2 for i in range(n) for j in range(width)) / (n * width)
    variance = covariance = 0.0
    for rows in (first.tolist(), second.tolist()):
        means = [sum(row[j] for row in rows) / n for j in range(width)]
        for j in range(width):
            for k in range(width):
                found = sum((row[j] - means[j]) * (row[k] - means[k]) for row in rows) / (n - 1)
                if j == k:
                    variance += max(0.0, 1 - math.sqrt(found + 1e-4)) / width
                else:
                    covariance += found**2 / width
    return invariance, variance, covariance


def test_the_terms_are_those_of_algorithm_1() -> None:
    first, second = projections()
    expected = reference(first, second)
    assert min(expected) > 0.1
    assert [float(term) for term in vicreg_terms(first, second)] == pytest.approx(expected, abs=1e-12)
    weighted = sum(weight * term for weight, term in zip(WEIGHTS, expected, strict=True))
    assert float(vicreg(first, second)) == pytest.approx(weighted, abs=1e-10)
    assert torch.allclose(vicreg(first, second), vicreg(second, first))
    assert float(vicreg(first, second, (2, 0, 0))) == pytest.approx(2 * expected[0])


def test_gradients_are_those_of_the_terms() -> None:
    both = tuple(rows.requires_grad_() for rows in projections())
    assert torch.autograd.gradcheck(vicreg, both)


def test_collapse_costs_and_a_gradient_leads_out_of_it() -> None:
    first = torch.zeros(6, 4).requires_grad_()
    terms = vicreg_terms(first + 1e-3 * torch.eye(6, 4), first)
    assert float(terms.variance.detach()) > 1.9
    terms.variance.backward()
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_a_single_pair_has_no_spread() -> None:
    first, second = projections(1)
    terms = vicreg_terms(first, second)
    assert [float(term) for term in terms] == [pytest.approx(float((first - second).square().mean())), 0, 0]


def test_half_precision_does_not_lose_the_covariances() -> None:
    first, second = (rows.float() for rows in projections(200, 16))
    with torch.autocast("cpu", torch.bfloat16):
        found = vicreg_terms(first, second)
    assert found == vicreg_terms(first, second)
    assert found.covariance.dtype == torch.float32
