"""What a GridCNN sees: the pictures that the networks draw."""

from __future__ import annotations

import pytest
import torch
from weightspace.backbones import GridCNN, grid_cnn
from weightspace.errors import ConfigError
from weightspace.network import evaluate, grid


def test_pictures_have_the_values_of_the_networks_pixel_by_pixel(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3))
    model = GridCNN(batch.spec, 2, side=8, width=8).double()
    outputs = evaluate(batch, grid(8, 8).double()) - batch.spec.output_offset
    expected = outputs.reshape(len(batch), 8, 8, 3).permute(0, 3, 1, 2)
    assert torch.allclose(model.pictures(batch.params), expected, atol=1e-6), "its grid was made in float32"


def test_values_are_normalised_channel_by_channel(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3), count=40)
    model = GridCNN(batch.spec, 2, side=8, width=8).double()
    model.fit_normaliser(batch)
    for channel in model.pictures(batch.params).unbind(1):
        assert float(channel.mean()) == pytest.approx(0, abs=1e-9)
        assert float(channel.std(correction=0)) == pytest.approx(1)


def test_values_of_many_networks_are_computed_a_few_at_a_time(random_batch, monkeypatch) -> None:
    batch = random_batch((2, 5, 4, 3), count=40)
    whole, parts = (GridCNN(batch.spec, 2, side=8, width=8).double() for _ in range(2))
    whole.fit_normaliser(batch)
    monkeypatch.setattr(grid_cnn, "NUMBERS", 3 * 64 * 5)
    parts.fit_normaliser(batch)
    for name in ("mean", "std"):
        assert torch.allclose(getattr(parts.values, name), getattr(whole.values, name), rtol=1e-12)
    with pytest.raises(ConfigError, match="at least one training network, found none"):
        parts.fit_normaliser(batch[:0])


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_signals_images_and_volumes(random_batch, inputs: int) -> None:
    batch = random_batch((inputs, 5, 1))
    model = GridCNN(batch.spec, 3, side=5, width=8, stages=2).double()
    assert model.pictures(batch.params).shape == (len(batch), 1, *[5] * inputs)
    result = model(batch)
    result.square().sum().backward()
    assert result.shape == (len(batch), 3)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_networks_that_have_no_grid_are_refused(random_batch) -> None:
    with pytest.raises(ConfigError, match="one to three coordinates, found 40-5-1 .*: take Probe"):
        GridCNN(random_batch((40, 5, 1)).spec, 3)


def test_the_grid_is_no_weight(random_batch) -> None:
    model = GridCNN(random_batch().spec, 3, width=8)
    assert "points" not in model.state_dict()
