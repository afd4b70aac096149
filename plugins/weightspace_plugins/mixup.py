"""MixUp in weight space (paper 2402.04081, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.symmetry import permute_neurons

from weightspace_plugins.mixing import AUTO, SWEEPS, Mixing, sample_beta
from weightspace_plugins.parts import Part, WithParts


class MixUp(Mixing):
    """Mixes each network, and its target, with another of the batch: v = lam v1 + (1 - lam) v2.

    Targets become soft. Without alignment the mixed network rarely shows a recognisable object; it is a regulariser.

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        p: probability that a network is mixed; the others keep their label.
    """

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        super().__init__(alpha, p)

    def ends(self, batch: WeightBatch, partner: WeightBatch, orders: list[Tensor]) -> tuple[WeightBatch, WeightBatch]:
        """Returns both networks unchanged."""
        return batch, partner


class MixUpPermuted(Mixing):
    """MixUp after the first network's hidden neurons were put into a random order ("randomised").

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        p: probability that a network is mixed; the others keep their label.
    """

    permutes = True

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        super().__init__(alpha, p)

    def ends(self, batch: WeightBatch, partner: WeightBatch, orders: list[Tensor]) -> tuple[WeightBatch, WeightBatch]:
        """Permutes the first network."""
        return permute_neurons(batch, orders), partner


class MixUpAligned(Mixing):
    """MixUp with a partner that is first aligned with the network by its symmetries.

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        group: symmetries that are used: "auto" (all that the activation has), "permutation", "permutation+sign",
            "permutation+sign+phase" or "permutation+scale".
        sweeps: number of sweeps of the alignment over the layers, in 1..100.
        p: probability that a network is mixed; the others keep their label.
        stored: use the alignment that ``weightspace zoo align`` has stored in the zoo, or that of this name, instead of
            aligning at every step; group and sweeps are then its own.
        partners: "batch" (any network of the batch), "nearest" (the one whose outputs are nearest, at 64 points in
            -1..1), or "nearest_same_class" (the nearest one of the same class; a network that is the only one of its
            class in the batch stays as it is).
    """

    moves_neurons = False  # what is mixed is aligned

    def __init__(
        self,
        alpha: float = 1.0,
        group: str = AUTO,
        sweeps: int = SWEEPS,
        p: float = 1.0,
        stored: bool | str = False,
        partners: str = "batch",
    ) -> None:
        super().__init__(alpha, p, group, sweeps, stored, partners)

    def ends(self, batch: WeightBatch, partner: WeightBatch, orders: list[Tensor]) -> tuple[WeightBatch, WeightBatch]:
        """The network and its aligned partner."""
        return batch, self.aligned(batch, partner)


class MixUpAlignedPermuted(Mixing):
    """Aligned MixUp, in which both networks' hidden neurons are then put into the same random order.

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        group: symmetries that are used: "auto" (all that the activation has), "permutation", "permutation+sign",
            "permutation+sign+phase" or "permutation+scale".
        sweeps: number of sweeps of the alignment over the layers, in 1..100.
        p: probability that a network is mixed; the others keep their label.
        stored: use the alignment that ``weightspace zoo align`` has stored in the zoo, or that of this name, instead of
            aligning at every step; group and sweeps are then its own.
    """

    permutes = True

    def __init__(
        self, alpha: float = 1.0, group: str = AUTO, sweeps: int = SWEEPS, p: float = 1.0, stored: bool | str = False
    ) -> None:
        super().__init__(alpha, p, group, sweeps, stored)

    def ends(self, batch: WeightBatch, partner: WeightBatch, orders: list[Tensor]) -> tuple[WeightBatch, WeightBatch]:
        """The network and its aligned partner, both permuted alike."""
        return permute_neurons(batch, orders), permute_neurons(self.aligned(batch, partner), orders)


class SelfMixUp(WithParts):
    """Mixes each network with an augmented copy of itself: v = lam v1 + (1 - lam) copy. The target stays.

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        augmentations: what makes the copy, names or {name: {parameter: value}} in order.
        p: probability that a network is mixed.
    """

    family = "MixUp"

    def __init__(self, alpha: float = 1.0, augmentations: Sequence[Part] = ("permute",), p: float = 1.0) -> None:
        super().__init__(p, "augmentations", augmentations)
        self.alpha = self.in_range("alpha", alpha, 0, 1000, exclude=(0,))
        self.augmentations = augmentations
        for part in self.parts:
            if part.uses_labels or part.mixes:
                raise AugmentationError(
                    f"SelfMixUp: augmentations must leave targets and other networks alone, {part.name} does not"
                )

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The parameters (B, P) of the copy, and lam (B,)."""
        lam, copy = sample_beta(self.alpha, batch, generator), batch
        for part in self.parts:
            copy = part(copy, generator)
        return copy.params, lam

    def apply(self, batch: WeightBatch, params: tuple[Tensor, Tensor]) -> WeightBatch:
        """One linear interpolation."""
        copy, lam = params
        frame = None if self.moves_neurons else batch.frame
        return batch.replace(params=torch.lerp(copy, batch.params, lam[:, None]), frame=frame)
