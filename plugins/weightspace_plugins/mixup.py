"""MixUp in weight space (paper 2402.04081, section 4.2)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from scipy.special import betaincinv
from torch import Tensor
from weightspace.augment import Augmentation, build_augmentations
from weightspace.batch import WeightBatch, soft_targets
from weightspace.checks import require
from weightspace.errors import AugmentationError, SpecError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import align, check_group, permute_neurons, resolve_group, unpack_element

#: Symmetries and sweeps of an alignment by default.
AUTO, SWEEPS = "auto", 2


class Mix(NamedTuple):
    """Partner of each network (B,) int64, the weight (B,) of the network itself, orders (B, n) per hidden layer."""

    partners: Tensor
    lam: Tensor
    orders: list[Tensor]


class _MixUp(Augmentation):
    """v = lam v1 + (1 - lam) v2, the same for the targets; leaves say which weights v1 and v2 are.

    In contrastive training lam is folded to max(lam, 1 - lam): a network stays closer to itself than to its partner.
    """

    uses_labels = True
    mixes = True
    family = "MixUp"
    permutes: ClassVar[bool] = False
    moves_neurons = True

    def __init__(
        self, alpha: float, p: float, group: str = "permutation", sweeps: int = 1, stored: bool | str = False
    ) -> None:
        super().__init__(p)
        self.alpha = self.in_range("alpha", alpha, 0, 1000, exclude=(0,))
        self.group = check_group(f"{self.name}: group", group, AugmentationError)
        self.sweeps = self.whole("sweeps", sweeps, 1, 100)
        holds = isinstance(stored, bool) or (isinstance(stored, str) and stored != "")
        require(f"{self.name}: stored", stored, holds, "true, false or the name of an alignment", AugmentationError)
        self.stored = stored
        if stored and (group, sweeps) != (AUTO, SWEEPS):
            raise AugmentationError(
                f"{self.name}: group and sweeps have no effect with stored, whose alignment has its own: leave them out"
            )

    @property
    def stored_alignment(self) -> bool | str:
        """The stored alignment that partners are moved with."""
        return self.stored

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless the activation has the group."""
        super().check(spec, target)
        try:
            resolve_group(self.group, spec)
        except SpecError as error:
            raise AugmentationError(f"{self.name}: {error}") from error

    def aligned(self, batch: WeightBatch, partner: WeightBatch) -> WeightBatch:
        """The partner, aligned with the batch: pair by pair, or by way of the reference of a stored alignment.

        The elements g bring both into the frame of the reference, and ``g_batch^-1 g_partner`` the partner into that of
        the network. As the symmetries are affine maps, mixing there is mixing in the frame of the reference and moving
        the result back: networks that are mixed keep the coordinates of networks that are not.
        """
        if not self.stored:
            return align(batch, partner, self.group, self.sweeps).apply(partner)
        if batch.frame is None or partner.frame is None:
            raise AugmentationError(
                f"{self.name}: the batch carries no stored alignment (batch.frame): a ZooDataModule serves it, "
                "batch.replace(frame=zoo.alignment().frames(rows)) adds it, and whatever moves neurons drops it"
            )
        kind = batch.spec, batch.params.dtype
        own, other = unpack_element(batch.frame, *kind), unpack_element(partner.frame, *kind)
        return own.inverse().after(other).apply(partner)

    @abstractmethod
    def ends(self, batch: WeightBatch, partner: WeightBatch, orders: list[Tensor]) -> tuple[WeightBatch, WeightBatch]:
        """The networks that are interpolated."""

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Mix:
        """Draws partners from the same batch, lam and, if it permutes, random orders of the hidden neurons."""
        partners = torch.randperm(len(batch), generator=generator, device=batch.device)
        lam = sample_beta(self.alpha, batch, generator)
        if batch.paired:  # the positive of a mixed network is its own index
            lam = torch.maximum(lam, 1 - lam)
        layers = batch.biases[:-1] if self.permutes else ()
        draws = [torch.rand(bias.shape, generator=generator, device=batch.device) for bias in layers]
        return Mix(partners, lam, [draw.argsort(1) for draw in draws])

    def apply(self, batch: WeightBatch, params: Mix) -> WeightBatch:
        """One linear interpolation of the parameters, one of the targets."""
        lam, targets = params.lam[:, None], soft_targets(batch)
        first, second = self.ends(batch, batch.select(params.partners), params.orders)
        return batch.replace(
            params=torch.lerp(second.params, first.params, lam),
            targets=torch.lerp(
                targets[params.partners], targets, lam.to(targets.dtype).reshape(-1, *[1] * (targets.ndim - 1))
            ),
        )


class MixUp(_MixUp):
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


class MixUpPermuted(_MixUp):
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


class MixUpAligned(_MixUp):
    """MixUp with a partner that is first aligned with the network by its symmetries.

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        group: symmetries that are used: "auto" (all that the activation has), "permutation", "permutation+sign",
            "permutation+sign+phase" or "permutation+scale".
        sweeps: number of sweeps of the alignment over the layers, in 1..100.
        p: probability that a network is mixed; the others keep their label.
        stored: use the alignment that ``weightspace zoo align`` has stored in the zoo, or that of this name, instead of
            aligning at every step; group and sweeps are then its own.
    """

    moves_neurons = False  # what is mixed is aligned

    def __init__(
        self, alpha: float = 1.0, group: str = AUTO, sweeps: int = SWEEPS, p: float = 1.0, stored: bool | str = False
    ) -> None:
        super().__init__(alpha, p, group, sweeps, stored)

    def ends(self, batch: WeightBatch, partner: WeightBatch, orders: list[Tensor]) -> tuple[WeightBatch, WeightBatch]:
        """The network and its aligned partner."""
        return batch, self.aligned(batch, partner)


class MixUpAlignedPermuted(_MixUp):
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


class SelfMixUp(Augmentation):
    """Mixes each network with an augmented copy of itself: v = lam v1 + (1 - lam) copy. The target stays.

    Args:
        alpha: lam ~ Beta(alpha, alpha), in 0..1000, but not 0; 1 is uniform.
        augmentations: what makes the copy, names or {name: {parameter: value}} in order.
        p: probability that a network is mixed.
    """

    family = "MixUp"

    def __init__(
        self, alpha: float = 1.0, augmentations: Sequence[str | dict[str, Any]] = ("permute",), p: float = 1.0
    ) -> None:
        super().__init__(p)
        self.alpha = self.in_range("alpha", alpha, 0, 1000, exclude=(0,))
        self.augmentations = augmentations
        listed = not isinstance(augmentations, (str, Mapping)) and bool(augmentations)
        require("SelfMixUp: augmentations", augmentations, listed, "a list of one or more", AugmentationError)
        self.copying = build_augmentations(augmentations)
        for augmentation in self.copying:
            if augmentation.uses_labels or augmentation.mixes:
                raise AugmentationError(
                    "SelfMixUp: augmentations must leave targets and other networks alone, "
                    f"{augmentation.name} does not"
                )

    @property
    def moves_neurons(self) -> bool:
        """Whether the neurons of the copy are moved, so that those of the network are mixed with others."""
        return any(augmentation.moves_neurons for augmentation in self.copying)

    @property
    def stored_alignment(self) -> bool | str:
        """The stored alignment that an augmentation of the copy uses."""
        return next((a.stored_alignment for a in self.copying if a.stored_alignment), False)

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless each augmentation of the copy is valid."""
        super().check(spec, target)
        for augmentation in self.copying:
            augmentation.check(spec, target)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Calls the hook of the copy's augmentations, whose strength may follow a schedule."""
        for augmentation in self.copying:
            augmentation.on_train_epoch_start(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """States of the copy's augmentations, for checkpoints."""
        states = {str(place): augmentation.state_dict() for place, augmentation in enumerate(self.copying)}
        return {place: state for place, state in states.items() if state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the states from a checkpoint."""
        for place, state in state_dict.items():
            self.copying[int(place)].load_state_dict(state)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The parameters (B, P) of the copy, and lam (B,)."""
        lam, copy = sample_beta(self.alpha, batch, generator), batch
        for augmentation in self.copying:
            copy = augmentation(copy, generator)
        return copy.params, lam

    def apply(self, batch: WeightBatch, params: tuple[Tensor, Tensor]) -> WeightBatch:
        """One linear interpolation."""
        copy, lam = params
        return batch.replace(params=torch.lerp(copy, batch.params, lam[:, None]))


def sample_beta(alpha: float, batch: WeightBatch, generator: torch.Generator) -> Tensor:
    """(B,) draws from Beta(alpha, alpha), in the dtype of the batch.

    torch's Beta takes no generator: the inverse distribution function of uniform draws does.
    """
    uniform = torch.rand(len(batch), generator=generator, device=batch.device, dtype=torch.float64)
    lam = uniform if alpha == 1 else torch.from_numpy(betaincinv(alpha, alpha, uniform.cpu().numpy()))
    return lam.to(batch.params)
