"""The contract of a backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError, SpecError
from weightspace.spec import NetworkSpec


class Backbone(nn.Module, ABC):
    """Maps a batch of networks of one architecture to vectors.

    Class fact that subclasses set:
        invariant_to: names of the symmetries that do not change the result ("permutation", "sign", "phase", "scale").

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        normaliser: scales the parameters; its statistics are buffers, saved with the weights.
    """

    invariant_to: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, spec: NetworkSpec, out_dim: int, normaliser: Normaliser) -> None:
        super().__init__()
        self.spec, self.out_dim, self.normaliser = spec, out_dim, normaliser

    def forward(self, batch: WeightBatch) -> Tensor:
        """(B, out_dim).

        Raises:
            SpecError: networks of another architecture than the backbone was built for.
        """
        if batch.spec != self.spec:
            raise SpecError(f"this backbone was built for {self.spec}, the batch holds {batch.spec}")
        return self.encode(self.normaliser(batch.params))

    @abstractmethod
    def encode(self, params: Tensor) -> Tensor:
        """(B, out_dim) from (B, P) normalised parameters: tensors alone, so that it compiles as one graph."""

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the normaliser's statistics from training networks."""
        self.normaliser.fit(batch)


class Normaliser(nn.Module):
    """(params - mean) / std with statistics of the training networks.

    Args:
        spec: architecture of the networks.
        per: "tensor" (one mean and std for each W_l and b_l: keeps permutation symmetry) or "parameter".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: NetworkSpec, per: str) -> None:
        super().__init__()
        self.spec, self.per = spec, per
        self.register_buffer("mean", torch.zeros(spec.num_params))
        self.register_buffer("std", torch.ones(spec.num_params))

    def fit(self, batch: WeightBatch) -> None:
        """Takes the statistics of these networks; a constant entry keeps std 1."""
        params = batch.params.to(self.mean)
        if self.per == "parameter":
            mean, std = params.mean(0), params.std(0, correction=0)
        else:
            mean, std = torch.empty_like(self.mean), torch.empty_like(self.std)
            for where in (*self.spec.weight_slices, *self.spec.bias_slices):
                mean[where], std[where] = params[:, where].mean(), params[:, where].std(correction=0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-8, std, 1.0))

    def forward(self, params: Tensor) -> Tensor:
        """(B, P) in the precision of the statistics."""
        return (params.to(self.mean.dtype) - self.mean) / self.std


def check_sizes(name: str, dropout: float, **sizes: int) -> None:
    """Raises ConfigError where a size is below 1 or dropout not in [0, 1)."""
    for argument, value in sizes.items():
        if value < 1:
            raise ConfigError(f"{name}: {argument} must be at least 1, found {value}")
    if not 0 <= dropout < 1:
        raise ConfigError(f"{name}: dropout must be in [0, 1), found {dropout}")
