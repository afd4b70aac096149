"""A reproducible chain of augmentations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weightspace.augment.attributes import check_instance
from weightspace.augment.base import Augmentation
from weightspace.augment.frames import check_frames, stored_alignment
from weightspace.augment.placement import at_rest
from weightspace.augment.replay import check_replay
from weightspace.augment.results import naming
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec


class AugmentationChain:
    """Applies augmentations in order to whole batches, on the batch's device.

    Each draw has its own generator, seeded from (seed, epoch, batch index, rank, position, draw): a run repeats from
    its seed, a resumed run repeats what would have happened, and ranks and the two draws of contrastive training
    differ.

    Args:
        augmentations: in order; may be empty. An instance may be in several chains, and several times in one.
        seed: of the run.
        paired: whether two draws of a network are a pair of contrastive training: ``batch.paired`` of what the
            augmentations are given.

    Attributes:
        places: whether batches are followed: ``batch.placement`` of the result says where objects have been moved.
    """

    def __init__(self, augmentations: Sequence[Augmentation], seed: int, paired: bool = False) -> None:
        self.augmentations = tuple(augmentations)
        for augmentation in self.augmentations:
            check_instance(augmentation)
        self.seed, self.paired = seed, paired
        self.places = False
        self._replayed = False

    def __repr__(self) -> str:
        return f"AugmentationChain({list(self.augmentations)}, seed={self.seed})"

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError if an augmentation is not valid for such networks.

        Args:
            spec: architecture of the networks.
            target: "class", "value" (regression) or None (no targets).
        """
        for augmentation in self.augmentations:
            augmentation.check(spec, target)
        check_frames(self.augmentations)

    @property
    def stored_alignment(self) -> bool | str:
        """Whether an augmentation uses the stored alignment of the zoo: False, True (the only one), or its name."""
        return stored_alignment(self.augmentations)

    def __call__(self, batch: WeightBatch, epoch: int = 0, rank: int = 0, draw: int = 0) -> WeightBatch:
        """One augmented batch; the input is not changed.

        Raises:
            AugmentationError: an augmentation returned another shape, dtype or type, or numbers that are not finite;
                wrote to its input; or used randomness other than its generator (checked in the first call).
        """
        result = batch.replace(placement=at_rest(batch)) if self.places else batch
        moment = (epoch, batch.index, rank)
        for position in range(len(self.augmentations)):
            result = self._step(position, result, moment, draw)
        self._replayed = True
        if not _finite(result).all():  # once per chain: on a GPU a look at the numbers is a wait
            self._blame(batch, moment, draw)
        return result

    def _step(self, position: int, batch: WeightBatch, moment: tuple[int, int, int], draw: int) -> WeightBatch:
        augmentation = self.augmentations[position]
        key = (self.seed, *moment, position, draw)
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
        given = batch if batch.paired == self.paired else batch.replace(paired=self.paired)
        with naming(augmentation.name):
            result = augmentation(given, torch.Generator(device=batch.device).manual_seed(seed))
            if not self._replayed:  # in the first step of a run
                check_replay(augmentation, given, seed, result)
            return result

    def _blame(self, batch: WeightBatch, moment: tuple[int, int, int], draw: int) -> None:
        """Runs the chain again with the same draws to find the augmentation whose result is not finite."""
        bad = int((~_finite(batch)).sum())
        if bad:
            raise AugmentationError(
                f"{bad} of {len(batch)} networks of the batch have weights or targets that are NaN or infinite before "
                "any augmentation: no augmentation is the cause; leave these networks out"
            )
        for position, augmentation in enumerate(self.augmentations):
            batch = self._step(position, batch, moment, draw)
            bad = int((~_finite(batch)).sum())
            if bad:
                raise AugmentationError(
                    f"{augmentation.name}: {bad} of {len(batch)} networks are not finite after it, and "
                    "were before: weights or targets are NaN or infinite; take smaller parameters, or leave it out"
                )
        names = ", ".join(augmentation.name for augmentation in self.augmentations)
        raise AugmentationError(f"networks were not finite once, and were with the same draws again, after: {names}")


def _finite(batch: WeightBatch) -> Tensor:
    """(B,) whether all parameters and targets of a network are finite."""
    finite = batch.params.isfinite().all(1)
    if batch.targets is not None and batch.targets.is_floating_point():
        finite &= batch.targets.isfinite().flatten(1).all(1)
    return finite
