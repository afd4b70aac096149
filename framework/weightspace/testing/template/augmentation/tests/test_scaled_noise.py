from __future__ import annotations

import pytest
import torch
from weightspace.augment import build_augmentations
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec
from weightspace.testing import parametrize_checks

from scaled_noise import ScaledNoise


# with the default values of its parameters; add instances with other values
@parametrize_checks(ScaledNoise, ScaledNoise(p=0.3))
def test_contract(check) -> None:
    check()


# the contract holds for any augmentation: this is what the formula of this one says, whatever its parameters are
def test_noise_is_in_proportion() -> None:
    spec = NetworkSpec((2, 4, 1), "sine", 30.0)
    batch = WeightBatch(torch.full((5, spec.num_params), 3.0), spec)
    noise = ScaledNoise()
    draw = noise.sample(batch, torch.Generator().manual_seed(0))
    noisy, doubled = (noise.apply(batch.replace(params=k * batch.params), draw) for k in (1, 2))
    assert not torch.equal(noisy.params, batch.params)
    torch.testing.assert_close(doubled.params, 2 * noisy.params)


def test_it_is_found_by_name_and_refuses_bad_values() -> None:
    (found,) = build_augmentations([{"scaled_noise": {"p": 0.2}}])
    assert isinstance(found, ScaledNoise)
    assert found.p == 0.2
    with pytest.raises(AugmentationError, match="p must be in"):
        build_augmentations([{"scaled_noise": {"p": 2}}])
