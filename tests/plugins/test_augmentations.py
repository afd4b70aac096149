"""Exactness in float64, moments, and cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from weightspace.batch import WeightBatch
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace_plugins.geometry import Rotate, rotations_3d
from weightspace_plugins.mixup import Mix, MixUp
from weightspace_plugins.noise import GaussianNoise
from weightspace_plugins.symmetry import SignFlip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("widths", [(2, 5, 1), (2, 5, 4, 3, 2), (3, 4, 6, 1), (3, 4, 3, 4, 5, 2)])
@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_rotate_computes_the_moved_object(random_batch, widths, activation: str) -> None:
    batch = random_batch(widths, activation)
    rotate = Rotate(degrees=180)
    params = rotate.sample(batch, generator())
    x = torch.rand(20, widths[0], dtype=torch.float64) * 2 - 1
    moved = evaluate(rotate.apply(batch, params), x)
    assert (moved - evaluate(batch, rotate.coordinates(x, params))).abs().max() < 1e-9
    assert (moved - evaluate(batch, x)).abs().max() > 1e-3


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 3, 1)])
def test_rotations_are_proper_and_bounded(random_batch, widths) -> None:
    batch = random_batch(widths, count=4000)
    r = Rotate(degrees=40).sample(batch, generator())
    identity = torch.eye(widths[0], dtype=torch.float64)
    assert (r @ r.transpose(1, 2) - identity).abs().max() < 1e-12
    assert torch.allclose(torch.linalg.det(r), torch.ones(4000, dtype=torch.float64))
    trace = r.diagonal(dim1=1, dim2=2).sum(1)
    angle = torch.acos(((trace - (widths[0] - 2)) / 2).clamp(-1, 1)).rad2deg()
    assert angle.max() <= 40 + 1e-6
    assert float(angle.mean()) == pytest.approx(20, abs=1)


def test_a_quarter_turn_about_the_third_axis() -> None:
    axis, angle = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([math.pi / 2])
    assert torch.allclose(rotations_3d(axis, angle) @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6)


@pytest.mark.parametrize("widths", [(2, 5, 1), (3, 5, 4, 3, 2)])
@pytest.mark.parametrize("activation", ["sine", "tanh"])
def test_sign_flip_keeps_the_function(random_batch, widths, activation: str) -> None:
    batch = random_batch(widths, activation)
    x = torch.rand(20, widths[0], dtype=torch.float64)
    moved = SignFlip()(batch, generator())
    assert (evaluate(moved, x) - evaluate(batch, x)).abs().max() < 1e-9
    assert 0.2 < (moved.biases[0] != batch.biases[0]).double().mean() < 0.8
    assert torch.equal(SignFlip(probability=0)(batch, generator()).params, batch.params)


def test_noise_has_the_spread_of_each_tensor_and_a_fresh_draw_per_entry() -> None:
    spec = NetworkSpec((2, 60, 50, 1), "tanh")
    scales = torch.ones(spec.num_params, dtype=torch.float64)
    scales[spec.weight_slices[1]] = 100
    params = torch.randn(30, spec.num_params, dtype=torch.float64, generator=generator()) * scales
    batch = WeightBatch(params, spec)
    added = GaussianNoise(scale=0.2)(batch, generator(1)).params - params
    changed = batch.replace(params=added)
    for w, d in zip((*batch.weights, *batch.biases[:-1]), (*changed.weights, *changed.biases[:-1]), strict=True):
        sigma = 0.2 * w.flatten(1).std(1, correction=0)
        scaled = d.flatten(1) / sigma[:, None]
        assert float(scaled.mean()) == pytest.approx(0, abs=4 / math.sqrt(scaled.numel()))
        assert float(scaled.std()) == pytest.approx(1, abs=4 / math.sqrt(scaled.numel()))
    assert torch.equal(changed.biases[-1], torch.zeros(30, 1, dtype=torch.float64)), "one entry has no spread"


def test_mixup_by_hand() -> None:
    spec = NetworkSpec((1, 1, 1), "relu")
    params = torch.tensor([[1.0, 0, 0, 2], [3.0, 4, 0, 0]])
    batch = WeightBatch(params, spec, torch.tensor([0, 2]), num_classes=3)
    mixed = MixUp().apply(batch, Mix(torch.tensor([1, 1]), torch.tensor([0.25, 0.5])))
    assert torch.allclose(mixed.params, torch.tensor([[2.5, 3, 0, 0.5], [3, 4, 0, 0]]))
    assert torch.allclose(mixed.targets, torch.tensor([[0.25, 0, 0.75], [0, 0, 1]]))
    soft = MixUp().apply(batch.replace(targets=mixed.targets), Mix(torch.tensor([1, 0]), torch.tensor([0.0, 1.0])))
    assert torch.allclose(soft.targets, mixed.targets[[1, 1]])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_lambda_is_beta_distributed(random_batch, alpha: float) -> None:
    mix = MixUp(alpha).sample(random_batch((1, 1, 1), count=20_000), generator())
    assert sorted(mix.partners.tolist()) == list(range(20_000))
    assert float(mix.lam.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(mix.lam.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)
