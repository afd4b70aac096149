"""MixUp in weight space (paper 2402.04081, section 4.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.special import betaincinv
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, soft_targets
from weightspace.errors import AugmentationError


class Mix(NamedTuple):
    """Partner of each network (B,) int64, and the weight (B,) of the network itself."""

    partners: Tensor
    lam: Tensor


class MixUp(Augmentation):
    """Mixes each network, and its target, with another of the batch: v = lam v1 + (1 - lam) v2.

    Targets become soft. Without alignment the mixed network rarely shows anything: a regulariser more than a picture.

    Args:
        alpha: lam ~ Beta(alpha, alpha), > 0 and up to 1000; 1 is uniform.
        p: probability that a network is mixed; the others keep their label.
    """

    uses_labels = True

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.alpha = self.in_range("alpha", alpha, 0, 1000)
        if self.alpha == 0:
            raise AugmentationError("MixUp: alpha must be > 0, found 0")

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Mix:
        """Random partners from the same batch, and lam by the inverse distribution function of uniform draws."""
        partners = torch.randperm(len(batch), generator=generator, device=batch.device)
        uniform = torch.rand(len(batch), generator=generator, device=batch.device, dtype=torch.float64)
        lam = (
            uniform if self.alpha == 1 else torch.from_numpy(betaincinv(self.alpha, self.alpha, uniform.cpu().numpy()))
        )
        return Mix(partners, lam.to(batch.params))

    def apply(self, batch: WeightBatch, params: Mix) -> WeightBatch:
        """One linear interpolation of the parameters, one of the targets."""
        lam = params.lam[:, None]
        targets = soft_targets(batch)
        return batch.replace(
            params=torch.lerp(batch.params[params.partners], batch.params, lam),
            targets=torch.lerp(targets[params.partners], targets, lam.to(targets.dtype)),
        )
