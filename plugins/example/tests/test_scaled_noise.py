from __future__ import annotations

import pytest
import torch
from scaled_noise import ScaledNoise
from weightspace.augment import build_augmentations
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec
from weightspace.testing import parametrize_checks


@parametrize_checks(ScaledNoise, ScaledNoise(scale=0.5, p=0.3))
def test_contract(check) -> None:
    check()


def test_noise_is_in_proportion() -> None:
    spec = NetworkSpec((2, 32, 32, 1), "sine", 30.0)
    batch = WeightBatch(torch.full((50, spec.num_params), 3.0), spec)
    noisy = ScaledNoise(scale=0.1)(batch, torch.Generator().manual_seed(0))
    assert float(noisy.params.std()) == pytest.approx(0.3, rel=0.02)


def test_it_is_found_by_name_and_refuses_bad_values() -> None:
    (found,) = build_augmentations([{"scaled_noise": {"scale": 0.2}}])
    assert isinstance(found, ScaledNoise)
    with pytest.raises(AugmentationError, match=r"scale must be in 0\.\.1, found 2"):
        build_augmentations([{"scaled_noise": {"scale": 2}}])
