"""The base of MixUp: partners, their weights, and what is interpolated."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from scipy.special import betaincinv
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, soft_targets
from weightspace.checks import check_choice, require
from weightspace.errors import AugmentationError, SpecError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import align, check_group, resolve_group, unpack_element

from weightspace_plugins.partners import BATCH, NEAREST_SAME_CLASS, PARTNERS, nearest

#: Symmetries and sweeps of an alignment by default.
AUTO, SWEEPS = "auto", 2


class Mix(NamedTuple):
    """Partner of each network (B,) int64, the weight (B,) of the network itself, orders (B, n) per hidden layer."""

    partners: Tensor
    lam: Tensor
    orders: list[Tensor]


class Mixing(Augmentation):
    """v = lam v1 + (1 - lam) v2, the same for the targets; leaves say which weights v1 and v2 are.

    In contrastive training lam is folded to max(lam, 1 - lam): a network stays closer to itself than to its partner.
    """

    uses_labels = True
    mixes = True
    family = "MixUp"
    permutes: ClassVar[bool] = False
    moves_neurons = True

    def __init__(
        self,
        alpha: float,
        p: float,
        group: str = "permutation",
        sweeps: int = 1,
        stored: bool | str = False,
        partners: str = BATCH,
    ) -> None:
        super().__init__(p)
        self.alpha = self.in_range("alpha", alpha, 0, 1000, exclude=(0,))
        self.group = check_group(f"{self.name}: group", group, AugmentationError)
        self.partners = check_choice(f"{self.name}: partners", partners, PARTNERS, AugmentationError)
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
        """Raises AugmentationError unless the activation has the group, and the targets are classes if they matter."""
        super().check(spec, target)
        if self.partners == NEAREST_SAME_CLASS and target != "class":
            raise AugmentationError(
                f"{self.name}: partners {self.partners} needs classes, these networks have a regression target"
            )
        if self.partners != BATCH and spec.kernels:
            raise AugmentationError(
                f"{self.name}: partners {self.partners} compares networks at points of [-1, 1], and these read images: "
                f"{spec}"
            )
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
        """Draws lam, partners unless they are the nearest, and, if it permutes, orders of the hidden neurons."""
        if self.partners == BATCH:
            partners = torch.randperm(len(batch), generator=generator, device=batch.device)
        else:
            partners = nearest(batch, same_class=self.partners == NEAREST_SAME_CLASS)
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
            frame=None if self.moves_neurons else batch.frame,
            params=torch.lerp(second.params, first.params, lam),
            targets=torch.lerp(
                targets[params.partners], targets, lam.to(targets.dtype).reshape(-1, *[1] * (targets.ndim - 1))
            ),
        )


def sample_beta(alpha: float, batch: WeightBatch, generator: torch.Generator) -> Tensor:
    """(B,) draws from Beta(alpha, alpha), in the dtype of the batch.

    torch's Beta takes no generator: the inverse distribution function of uniform draws does.
    """
    uniform = torch.rand(len(batch), generator=generator, device=batch.device, dtype=torch.float64)
    lam = uniform if alpha == 1 else torch.from_numpy(betaincinv(alpha, alpha, uniform.cpu().numpy()))
    return lam.to(batch.params)
