"""The best linear filter against least squares by numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F
from weightspace.tasks import linear_filter
from weightspace.tasks.linear_filter import filtered, fit_filter


def pictures(count: int = 5) -> torch.Tensor:
    return torch.rand(count, 2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_a_filter_is_found_again() -> None:
    x = pictures()
    weights = torch.randn(2, 2 * 9 + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(fit_filter(x, filtered(x, weights, 3), 3), weights, atol=1e-8)


def test_it_is_the_least_squares_solution_whatever_is_in_memory_at_a_time(monkeypatch) -> None:
    x = pictures()
    y = x.square().flip(3)
    squares = F.unfold(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5).mT.reshape(-1, 50).numpy()
    design = np.concatenate([squares, np.ones((len(squares), 1))], axis=1)
    expected = np.linalg.lstsq(design, y.flatten(2).mT.reshape(-1, 2).numpy(), rcond=None)[0].T
    for numbers in (1, 100_000):
        monkeypatch.setattr(linear_filter, "AT_A_TIME", numbers)
        found = fit_filter(x, y)
        assert np.allclose(found.numpy(), expected, atol=1e-7)
        best = design @ expected.T
        assert np.allclose(filtered(x, found).flatten(2).mT.reshape(-1, 2).numpy(), best, atol=1e-7)


def test_pixels_that_are_always_dark_do_no_harm() -> None:
    x = torch.zeros(3, 1, 6, 6)
    assert torch.allclose(filtered(x, fit_filter(x, x + 0.5)), x + 0.5, atol=1e-5)
