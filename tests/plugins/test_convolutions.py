"""First-party augmentations on networks with convolutions: what is exact, and what has no meaning there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from convolved_networks import SHAPES, convolved, some_images
from weightspace.augment import build_augmentations, list_augmentations
from weightspace.errors import AugmentationError
from weightspace.network import evaluate
from weightspace.symmetry import align
from weightspace.symmetry.alignment import squared_distance

NEEDED: dict[str, dict[str, Any]] = {
    "one_of": {"of": ["permute", "gaussian_noise"]},
    "some_of": {"count": 1, "of": ["permute", "dropout"]},
    "repeat": {"of": "permute", "times": 2},
}
INPUT = {"rotate", "translate", "scale"}


def built(name: str, **parameters: Any):
    (augmentation,) = build_augmentations([{name: {**NEEDED.get(name, {}), **parameters}}])
    return augmentation


@pytest.mark.parametrize("activation", ["relu", "tanh", "sine", "several"])
@pytest.mark.parametrize("name", sorted(set(list_augmentations()) - INPUT))
def test_they_work_and_what_is_exact_is_exact(name: str, activation: str) -> None:
    augmentation = built(name)
    for shape in SHAPES:
        batch = convolved(shape, activation)
        lacking = name == "phase_shift" and "phase" not in batch.spec.symmetries
        if lacking or not augmentation.activations.issuperset(batch.spec.activations):
            with pytest.raises(AugmentationError, match=f"'{name}' .*(networks only|lack: )"):
                augmentation(batch, seed=0)
            continue
        images, before = some_images(batch.spec), batch.params.clone()
        result = augmentation(batch, seed=0)
        assert result.params.isfinite().all()
        assert torch.equal(batch.params, before)
        if augmentation.changes_networks:
            assert not torch.equal(result.params, before)
        if augmentation.exact == "function":
            assert (evaluate(result, images) - evaluate(batch, images)).abs().max() < 1e-9


@pytest.mark.parametrize("name", sorted(INPUT))
def test_what_moves_points_is_refused(name: str) -> None:
    with pytest.raises(AugmentationError, match=f"'{name}' .*moves the points .* and these read images: 2-5-4-3 relu"):
        built(name)(convolved("averaged"), seed=0)
    with pytest.raises(AugmentationError, match=f"'{name}' .*moves the points"):
        built("one_of", of=["permute", name])(convolved("averaged"), seed=0)


def test_nearest_partners_are_of_functions_of_points() -> None:
    with pytest.raises(AugmentationError, match="partners nearest compares networks at points"):
        built("mixup_aligned", partners="nearest")(convolved("averaged"), seed=0)


def test_noise_is_in_proportion_to_each_tensor() -> None:
    batch = convolved("flattened", count=2000)
    noise = built("gaussian_noise", scale=0.1)(batch, seed=0).params - batch.params
    for part, weight in zip(batch.spec.weight_slices, batch.weights, strict=True):
        deviation = weight.flatten(1).std(1, correction=0)
        assert (noise[:, part] / deviation[:, None]).std() == pytest.approx(0.1, rel=0.02)


def test_mixing_aligned_is_mixing_with_the_aligned_partner() -> None:
    batch = convolved("averaged", "tanh")
    mixup = built("mixup_aligned", alpha=1.0)
    params = mixup.sample(batch, torch.Generator().manual_seed(0))
    mixed = mixup.apply(batch, params)
    partner = batch.select(params.partners)
    aligned = align(batch, partner, "auto", 2).apply(partner)
    expected = params.lam[:, None] * batch.params + (1 - params.lam[:, None]) * aligned.params
    assert (mixed.params - expected).abs().max() < 1e-12
    assert (squared_distance(batch, aligned) <= squared_distance(batch, partner) + 1e-9).all()
