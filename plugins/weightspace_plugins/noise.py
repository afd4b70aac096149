"""Data-agnostic augmentations (paper 2402.04081, section 4): none of them keeps the function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, pack_layers
from weightspace.checks import require
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec


class GaussianNoise(Augmentation):
    """Adds normal noise, a fresh draw for every entry, in proportion to the standard deviation of each weight tensor.

    For each tensor (W_l or b_l) of each network: sigma = strength * std(its entries, correction 0). A tensor of one
    entry gets no noise. The strength is ``scale``, or rises to it in equal steps over the first epochs.

    Args:
        scale: in 0..10.
        factors: of the strength, one for each of W_1, ..., W_n, b_1, ..., b_n, in 0..10; None: all 1.
        ramp_epochs: the strength in epoch e (from 0) is scale * min(1, (e + 1) / ramp_epochs); 0 or 1: no ramp.
        p: probability that a network is changed.
    """

    family = "data-agnostic"

    def __init__(
        self, scale: float = 0.1, ramp_epochs: int = 0, p: float = 1.0, factors: Sequence[float] | None = None
    ) -> None:
        super().__init__(p)
        self.scale = self.in_range("scale", scale, 0, 10)
        given = isinstance(factors, list | tuple)
        require("GaussianNoise: factors", factors, factors is None or given, "a list of numbers", AugmentationError)
        self.factors = None if factors is None else [self.in_range("factors", factor, 0, 10) for factor in factors]
        self.ramp_epochs = self.whole("ramp_epochs", ramp_epochs, 0, 1_000_000)
        self._epoch, self.strength = 0, self._strength_in(0)

    def _strength_in(self, epoch: int) -> float:
        return self.scale * min(1.0, (epoch + 1) / max(1, self.ramp_epochs))

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless there is a factor for each tensor."""
        super().check(spec, target)
        if self.factors is not None and len(self.factors) != 2 * spec.num_layers:
            raise AugmentationError(
                f"{self.name}: factors are one for each of {2 * spec.num_layers} tensors (W_1, ..., b_1, ...) of these "
                f"networks, {spec}; found {len(self.factors)}"
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sets the strength of the epoch."""
        self._epoch, self.strength = trainer.current_epoch, self._strength_in(trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Returns the epoch for checkpoints, which decides the strength."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Sets the strength of the checkpoint's epoch; of an earlier version, the strength itself is in it."""
        if "epoch" in state_dict:
            self._epoch, self.strength = state_dict["epoch"], self._strength_in(state_dict["epoch"])
        else:
            self.strength = state_dict["strength"]

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """Draws (B, P) standard normal numbers."""
        return torch.randn(batch.params.shape, generator=generator, dtype=batch.params.dtype, device=batch.device)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Adds sigma times the draw."""
        weights = [w.std(tuple(range(1, w.ndim)), correction=0, keepdim=True).expand_as(w) for w in batch.weights]
        biases = [b.std(1, correction=0, keepdim=True).expand_as(b) for b in batch.biases]
        if self.factors is not None:
            weights = [f * w for f, w in zip(self.factors[: len(weights)], weights, strict=True)]
            biases = [f * b for f, b in zip(self.factors[len(weights) :], biases, strict=True)]
        sigma = pack_layers(weights, biases, batch.spec)
        return batch.replace(params=torch.addcmul(batch.params, params, sigma, value=self.strength))


class Dropout(Augmentation):
    """Sets entries to zero. Survivors stay as they are: rescaled, a sine network would change its frequency.

    Args:
        probability: of each entry to be dropped, in 0..1, but not 1.
        rescale: divide survivors by 1 - probability.
        p: probability that a network is changed.
    """

    family = "data-agnostic"

    def __init__(self, probability: float = 0.05, rescale: bool = False, p: float = 1.0) -> None:
        super().__init__(p)
        self.probability = self.in_range("probability", probability, 0, 1, exclude=(1,))
        require("Dropout: rescale", rescale, isinstance(rescale, bool), "true or false", AugmentationError)
        self.rescale = rescale

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(B, P) bool, true for survivors."""
        return torch.rand(batch.params.shape, generator=generator, device=batch.device) >= self.probability

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Multiplies the parameters by the mask."""
        kept = batch.params * params
        return batch.replace(params=kept / (1 - self.probability) if self.rescale else kept)


class QuantileMask(Augmentation):
    """Sets the smallest entries of each network to zero: those whose absolute value is below its q-quantile.

    Args:
        q_max: q is uniform in 0..q_max for each network; in 0..1.
        p: probability that a network is changed.
    """

    family = "data-agnostic"

    def __init__(self, q_max: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.q_max = self.in_range("q_max", q_max, 0, 1)

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(B,) q."""
        uniform = torch.rand(len(batch), generator=generator, device=batch.device, dtype=batch.params.dtype)
        return self.q_max * uniform

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """The quantile is interpolated linearly between the two nearest entries, as ``torch.quantile`` does."""
        sizes = batch.params.abs()
        position = params * (sizes.shape[1] - 1)
        below = position.floor()
        ordered = sizes.sort(1).values
        low = ordered.gather(1, below.long()[:, None])
        high = ordered.gather(1, position.ceil().long()[:, None])
        threshold = torch.lerp(low, high, (position - below)[:, None])
        return batch.replace(params=torch.where(sizes < threshold, 0, batch.params))
