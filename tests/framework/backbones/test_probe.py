"""Where probes begin, what they see, and in which precision."""

from __future__ import annotations

import pytest
import torch
from weightspace.backbones import Probe
from weightspace.backbones.perceptron import StandardisedInput
from weightspace.backbones.probe import Probes
from weightspace.network import evaluate, hidden_outputs
from weightspace.spec import NetworkSpec


@pytest.mark.parametrize(("inputs", "depth"), [(1, 1), (2, 2), (3, 3)])
def test_points_begin_evenly_spread(inputs: int, depth: int) -> None:
    points = Probes(NetworkSpec((inputs, 4, 1)), 256, depth=depth).points()
    assert points.shape == (256, inputs)
    assert points.min() >= -1.001
    assert points.max() <= 1.001
    counts = torch.histogram(points[:, 0].detach(), bins=8, range=(-1.001, 1.001)).hist
    assert counts.min() >= 30, "a Sobol sequence has 32 points in each eighth, a random one 22 to 43"


def test_seeds_give_different_points() -> None:
    spec = NetworkSpec((2, 4, 1))
    assert not torch.equal(Probes(spec, 16).points(), Probes(spec, 16).points())


def test_responses_are_what_the_networks_compute(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3))
    probes = Probes(batch.spec, 6).double()
    points = probes.points()
    coordinates, first, second, outputs = probes(batch.params)
    assert torch.equal(coordinates[0].T, points)
    hidden = hidden_outputs(batch, points)
    assert torch.allclose(first.mT, hidden[0], atol=1e-12)
    assert torch.allclose(second.mT, hidden[1], atol=1e-12)
    assert torch.allclose(outputs.mT, evaluate(batch, points) - batch.spec.output_offset, atol=1e-12)


def test_scales_are_those_of_training_networks(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3), count=40)
    probes = Probes(batch.spec, 16).double()
    probes.fit(batch.params)
    with torch.no_grad():
        _, first, _, outputs = probes(batch.params)
    assert float(first.square().mean()) == pytest.approx(1)
    assert float(outputs.mean()) == pytest.approx(0, abs=1e-9)
    for channel in outputs.unbind(1):
        assert float(channel.std(correction=0)) == pytest.approx(1)


def test_autocast_does_not_reach_the_networks_that_are_read(random_batch) -> None:
    batch = random_batch((2, 8, 8, 1), omega=30.0).to(dtype=torch.float32)
    probes = Probes(batch.spec, 6)
    exact = probes(batch.params)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(torch.equal(a, b) for a, b in zip(exact, probes(batch.params), strict=True))


def test_points_learn(random_batch) -> None:
    batch = random_batch()
    model = Probe(batch.spec, 2, probes=4).double()
    model(batch).square().sum().backward()
    assert model.probes.codes.grad.abs().min() > 0


def test_a_standardised_input_keeps_mean_and_deviation() -> None:
    x = torch.randn(3, 50, dtype=torch.float64) * 2 + 5
    result = StandardisedInput(50).double()(x)
    assert result.shape == (3, 52)
    assert torch.allclose(result[:, 50], x.mean(1))
    assert torch.allclose(result[:, 51], x.std(1, correction=0), atol=1e-5)
    assert torch.allclose(result[:, :50] * result[:, 51:] + result[:, 50:51], x, atol=1e-9)
