from __future__ import annotations

import pytest
import torch
from weightspace.augment import find_augmentation
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec


def test_noise_is_in_proportion() -> None:
    spec = NetworkSpec((2, 32, 32, 1), "sine", 30.0)
    batch = WeightBatch(torch.full((50, spec.num_params), 3.0), spec)
    noisy = find_augmentation("scaled_noise")(scale=0.1)(batch, torch.Generator().manual_seed(0))
    assert float(noisy.params.std()) == pytest.approx(0.3, rel=0.02)
    assert torch.equal(batch.params, torch.full_like(batch.params, 3.0))
