"""Runs augmentations one after the other, reproducibly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from weightspace.augment.base import Augmentation
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec


class AugmentationChain:
    """Applies augmentations in order to whole batches, on the batch's device.

    Each draw has its own generator, seeded from (seed, epoch, batch index, rank, position, draw): a run repeats from
    its seed, a resumed run repeats what would have happened, and ranks and the two draws of contrastive training
    differ.

    Args:
        augmentations: in order; may be empty.
        seed: of the run.
    """

    def __init__(self, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.augmentations = tuple(augmentations)
        self.seed = seed
        for position, augmentation in enumerate(self.augmentations):
            augmentation.position = position

    def check(self, spec: NetworkSpec, has_targets: bool) -> None:
        """Raises AugmentationError where one of them cannot work on such networks."""
        for augmentation in self.augmentations:
            augmentation.check(spec, has_targets)

    def __call__(self, batch: WeightBatch, epoch: int = 0, rank: int = 0, draw: int = 0) -> WeightBatch:
        """One augmented batch; the input is not changed.

        Raises:
            AugmentationError: an augmentation returned another shape, dtype or type.
        """
        generator = torch.Generator(device=batch.device)
        for augmentation in self.augmentations:
            key = (self.seed, epoch, batch.index, rank, augmentation.position, draw)
            generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))
            result = augmentation(batch, generator)
            _same_kind(augmentation, batch, result)
            batch = result
        return batch


def _same_kind(augmentation: Augmentation, before: WeightBatch, after: WeightBatch) -> None:
    if not isinstance(after, WeightBatch):
        raise AugmentationError(f"{augmentation.name}: apply must return a WeightBatch, found {type(after).__name__}")
    if after.params.shape != before.params.shape or after.params.dtype != before.params.dtype:
        raise AugmentationError(
            f"{augmentation.name}: params were {tuple(before.params.shape)} {before.params.dtype}, "
            f"apply returned {tuple(after.params.shape)} {after.params.dtype}"
        )
