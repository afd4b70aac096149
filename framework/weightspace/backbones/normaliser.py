"""Normalising what a backbone sees, with statistics of the training networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from weightspace.backbones.moments import Moments
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


class Normaliser(nn.Module):
    """Normalises vectors to (x - mean) / std, with statistics of the training networks.

    Args:
        size: length of the vectors.
        groups: slices whose entries share statistics; None: every entry has its own.
        center: subtract the mean; otherwise only divide by the root mean square (which keeps signs).
        spec: architecture of the networks whose parameters the vectors are, if the groups are its W_l and b_l: those of
            other hidden widths are then normalised, too, with the same statistics; None: the vectors have one length.
    """

    constant_buffers = frozenset({"mean", "std"})

    mean: Tensor
    std: Tensor

    def __init__(
        self, size: int, groups: Sequence[slice] | None = None, center: bool = True, spec: NetworkSpec | None = None
    ) -> None:
        super().__init__()
        self.groups, self.center, self.spec = groups, center, spec
        #: moments of each group in what it was fitted to last
        self.fitted: list[Moments] = []
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @classmethod
    def per_tensor(cls, spec: NetworkSpec, center: bool = True) -> Normaliser:
        """A normaliser of parameter vectors with one mean and std for each W_l and b_l, invariant to permutations."""
        return cls(spec.num_params, spec.layout.tensor_slices, center, spec)

    def fit(self, values: Tensor, spec: NetworkSpec | None = None) -> None:
        """Computes the statistics of (n, size) values in float64; entries that are constant up to rounding get std 1.

        Args:
            values: (n, size), or (n, P) parameters of networks.
            spec: their architecture, if it has other hidden widths than that of the normaliser.

        Raises:
            ConfigError: there are no values.
        """
        if self.groups is None:
            self.fit_parts([values])
            return
        _check_some(len(values))
        groups = self.groups if self.spec is None or spec is None else spec.layout.tensor_slices
        self.take([Moments.of(values[:, group], (0, 1), self.center) for group in groups])

    def fit_parts(self, parts: Iterable[Tensor]) -> None:
        """Computes the statistics of (n, size) values that come in parts, of which one is needed at a time.

        Raises:
            ConfigError: there are no values.
        """
        found = [Moments.of(part, 0, self.center) for part in parts if len(part)]
        _check_some(len(found))
        self.take([Moments.joined(found)])

    def take(self, moments: Sequence[Moments]) -> None:
        """Sets the statistics from the moments of each group."""
        self.fitted = list(moments)
        for group, found in zip([slice(None)] if self.groups is None else self.groups, moments, strict=True):
            std, size = found.variance.sqrt(), found.square.sqrt()
            self.mean[group] = found.mean.to(self.mean)
            self.std[group] = torch.where(std > 1e-6 * size, std, 1.0).to(self.std)

    def move_to(self, spec: NetworkSpec) -> None:
        """Makes it one for other hidden widths, so that statistics saved with those can be loaded."""
        mean, std = self._of(spec)
        self.groups, self.spec, self.fitted = spec.layout.tensor_slices, spec, []
        self.mean, self.std = mean.clone(), std.clone()

    def forward(self, values: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Normalises (..., size) values, in the precision of the statistics.

        Args:
            values: (..., size), or (..., P) parameters of networks.
            spec: their architecture, if it may have other hidden widths than that of the normaliser.
        """
        mean, std = self._of(spec)
        return (values.to(mean.dtype) - mean) / std

    def _of(self, spec: NetworkSpec | None) -> tuple[Tensor, Tensor]:
        """Mean and std of each parameter of networks of an architecture."""
        if self.spec is None or spec is None or spec == self.spec:
            return self.mean, self.std
        # W_1, b_1, W_2, ...: all entries of a tensor have the same statistics
        own, asked = (sorted(known.layout.tensor_slices, key=lambda part: part.start) for known in (self.spec, spec))
        pairs = list(zip(own, asked, strict=True))
        mean, std = (
            torch.cat([known[part.start : part.start + 1].expand(new.stop - new.start) for part, new in pairs])
            for known in (self.mean, self.std)
        )
        return mean, std


def _check_some(count: int) -> None:
    if not count:
        raise ConfigError("a normaliser needs at least one training network, found none")
