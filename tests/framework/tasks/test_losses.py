from __future__ import annotations

import math

import pytest
import torch
from weightspace.errors import ConfigError
from weightspace.tasks.losses import embedding_std, nt_xent, positive_distance, uniformity


def embeddings(count: int = 5, width: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, count, width, generator=generator, dtype=torch.float64)
    return first, second


def test_nt_xent_is_the_mean_over_all_rows_of_equation_1() -> None:
    first, second = embeddings()
    rows = [row / row.norm() for pair in zip(first, second, strict=True) for row in pair]
    terms = []
    for i, row in enumerate(rows):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = sum(math.exp(float(row @ rows[k]) / 0.3) for k in range(len(rows)) if k != i)
        terms.append(-math.log(math.exp(float(row @ rows[partner]) / 0.3) / others))
    assert float(nt_xent(first, second, 0.3)) == pytest.approx(sum(terms) / len(terms), abs=1e-12)
    assert torch.allclose(nt_xent(first, second, 0.3), nt_xent(second, first, 0.3))
    assert torch.allclose(nt_xent(first, second, 0.3), nt_xent(3 * first, 0.1 * second, 0.3))
    both = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.3), both)


def test_a_pair_that_agrees_costs_less() -> None:
    first, second = embeddings()
    assert nt_xent(first, first, 0.3) < nt_xent(first, second, 0.3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature must be > 0"):
        nt_xent(*embeddings(), temperature)


def test_measures() -> None:
    first, second = embeddings(400, 16)
    assert float(positive_distance(first, first)) == 0
    assert float(positive_distance(first, -first)) == pytest.approx(4)
    one = torch.ones(6, 16)
    assert float(uniformity(one)) == pytest.approx(0, abs=1e-6)
    assert float(embedding_std(one)) == pytest.approx(0, abs=1e-6)
    assert -4 < float(uniformity(second)) < -3
    assert float(embedding_std(second)) == pytest.approx(1, abs=0.02)
