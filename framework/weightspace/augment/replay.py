"""Checking by replay that the generator given to ``sample`` is an augmentation's only source of randomness."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from weightspace.augment.base import Augmentation
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError

#: Differences, relative to the largest number, that sums in another order may make on an accelerator.
ROUNDING = 1e-4


def check_replay(augmentation: Augmentation, batch: WeightBatch, seed: int, result: WeightBatch) -> None:
    """Compares a result with replays of the same draws under other global seeds, which are restored.

    Args:
        augmentation: the augmentation to check.
        batch: its input.
        seed: of the generator that it was given.
        result: its output.

    Raises:
        AugmentationError: ``apply`` is random, or ``sample`` uses randomness other than its generator.
    """

    def generator() -> torch.Generator:
        return torch.Generator(device=batch.device).manual_seed(seed)

    with _other_global_seeds(batch.device):
        params = augmentation.sample(batch, generator())
        first, second = (augmentation.apply(batch, params) for _ in range(2))
        if not _agree(first, second):
            raise AugmentationError(
                f"{augmentation.name}: apply gave two results for the same draws: all randomness belongs in sample"
            )
        if not _agree(result, augmentation(batch, generator())):
            raise AugmentationError(
                f"{augmentation.name}: the same generator gave two results: sample must take all randomness from the "
                "generator that it is given (torch.rand(..., generator=generator)), not from global state"
            )


def _agree(first: WeightBatch, second: WeightBatch) -> bool:
    return _close(first.params, second.params) and _close(first.targets, second.targets)


def _close(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if not first.is_floating_point() or not first.numel():
        return torch.equal(first, second)
    allowed = 0.0 if first.device.type == "cpu" else ROUNDING * float(first.nan_to_num(0, 0, 0).abs().max())
    return torch.allclose(first, second, rtol=0, atol=allowed, equal_nan=True)


@contextmanager
def _other_global_seeds(device: torch.device) -> Iterator[None]:
    """Temporarily sets all global generators to other states."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(torch.initial_seed() ^ 0x5EED)
        np.random.seed(random.Random(states[0][1][0]).getrandbits(32))
        random.seed(np.random.randint(2**31))
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
