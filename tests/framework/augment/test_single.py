"""One augmentation by its name, called from Python."""

from __future__ import annotations

import pytest
import torch
import weightspace as ws
from weightspace.errors import AugmentationError


def test_a_seed_decides_all_draws(random_batch) -> None:
    batch, noise = random_batch(), ws.augmentation("gaussian_noise", scale=0.5, p=0.5)
    before = batch.params.clone()
    first, again, other = (noise(batch, seed=seed).params for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first, noise(batch, torch.Generator().manual_seed(0)).params)
    assert torch.equal(batch.params, before)
    changed = (first != before).any(1)
    assert changed.any()
    assert not changed.all(), "p is the probability of each network"


def test_it_must_be_valid_for_the_networks(random_batch) -> None:
    with pytest.raises(AugmentationError, match=r"'positive_scale' .*valid for relu networks only, these are 2-5-4-3"):
        ws.augmentation("positive_scale")(random_batch(), seed=0)
    with pytest.raises(AugmentationError, match="needs targets"):
        ws.augmentation("mixup")(random_batch().replace(targets=None), seed=0)


def test_randomness_has_one_source(random_batch) -> None:
    flip = ws.augmentation("sign_flip")
    with pytest.raises(TypeError, match=r"give either a generator or a seed, as in augmentation\(batch, seed=0\)"):
        flip(random_batch())
    with pytest.raises(TypeError, match="either"):
        flip(random_batch(), torch.Generator(), seed=0)


def test_a_wrong_name_or_argument_says_what_there_is() -> None:
    with pytest.raises(AugmentationError, match="unknown augmentation 'rotat': did you mean 'rotate'"):
        ws.augmentation("rotat")
    with pytest.raises(AugmentationError, match="unexpected keyword argument 'degree'; its parameters: degrees=30.0"):
        ws.augmentation("rotate", degree=3)
