"""The table of activations: slopes against autograd, and each symmetry where, and only where, it is claimed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from weightspace.activations import ACTIVATIONS, Activation, activations_with
from weightspace.fitting.step import FUSED

HOLDS = {
    "sign": lambda f, z: torch.allclose(f(-z), -f(z), rtol=0, atol=1e-12),
    "phase": lambda f, z: torch.allclose(f(z + math.pi), -f(z), rtol=0, atol=1e-12),
    "scale": lambda f, z: torch.allclose(f(2.7 * z), 2.7 * f(z), rtol=0, atol=1e-12),
}


@pytest.fixture
def z() -> Tensor:
    return torch.linspace(-3, 3, 1_001, dtype=torch.float64) + 1e-4  # not at 0, where relu has no slope


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_symmetry_holds_exactly_where_it_is_claimed(name: str, z: Tensor) -> None:
    activation = ACTIVATIONS[name]
    assert {symmetry for symmetry, holds in HOLDS.items() if holds(activation.function, z)} == activation.symmetries
    assert all(name in activations_with(symmetry) for symmetry in activation.symmetries)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_slope_are_those_of_autograd(name: str, dtype: torch.dtype, z: Tensor) -> None:
    activation, x = ACTIVATIONS[name], z.to(dtype).requires_grad_()
    value, slope = activation.with_slope(x)
    (expected,) = torch.autograd.grad(activation.function(x).sum(), x)
    assert value.dtype == slope.dtype == dtype
    assert torch.equal(value, activation.function(x))
    assert torch.allclose(slope, expected, rtol=0, atol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", FUSED)
def test_what_a_compiler_gets_is_the_same_function(name: str, z: Tensor) -> None:
    expected = ACTIVATIONS[name].with_slope(z)
    for found, exact in zip(FUSED[name](z.float()), expected, strict=True):
        assert (found - exact).abs().max() < 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=list(ACTIVATIONS))
def test_a_frequency_counts_where_there_is_one(activation: Activation, z: Tensor) -> None:
    omega = 30.0 if activation.has_frequency else 1.0
    assert torch.equal(activation(z, omega), activation.function(omega * z))
