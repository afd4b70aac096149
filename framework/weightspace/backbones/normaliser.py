"""Normalising what a backbone sees, with statistics of the training networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


class Normaliser(nn.Module):
    """Normalises vectors to (x - mean) / std, with statistics of the training networks.

    Args:
        size: length of the vectors.
        groups: slices whose entries share statistics; None: every entry has its own.
        center: subtract the mean; otherwise only divide by the root mean square (which keeps signs).
    """

    constant_buffers = frozenset({"mean", "std"})

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, groups: Sequence[slice] | None = None, center: bool = True) -> None:
        super().__init__()
        self.groups, self.center = groups, center
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @classmethod
    def per_tensor(cls, spec: NetworkSpec, center: bool = True) -> Normaliser:
        """A normaliser of parameter vectors with one mean and std for each W_l and b_l, invariant to permutations."""
        return cls(spec.num_params, (*spec.weight_slices, *spec.bias_slices), center)

    def fit(self, values: Tensor) -> None:
        """Computes the statistics of (n, size) values in float64; entries that are constant up to rounding get std 1.

        Raises:
            ConfigError: there are no values.
        """
        if not len(values):
            raise ConfigError("a normaliser needs at least one training network, found none")
        for group in [slice(None)] if self.groups is None else self.groups:
            dims = 0 if self.groups is None else (0, 1)
            part = values[:, group].detach().double()
            mean = part.mean(dims) if self.center else part.new_zeros(())
            std = (part - mean).square().mean(dims).sqrt()
            size = part.square().mean(dims).sqrt()
            self.mean[group] = mean.to(self.mean)
            self.std[group] = torch.where(std > 1e-6 * size, std, 1.0).to(self.std)

    def forward(self, values: Tensor) -> Tensor:
        """Normalises (..., size) values, in the precision of the statistics."""
        return (values.to(self.mean.dtype) - self.mean) / self.std
