"""Moments of numbers, which can be joined to those of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Moments(NamedTuple):
    """Moments of numbers in float64.

    Attributes:
        number: how many numbers each moment is a mean of.
        mean: their mean, or zero if they are not centred.
        variance: mean square of their distances to that.
        square: mean of their squares.
    """

    number: int
    mean: Tensor
    variance: Tensor
    square: Tensor

    @classmethod
    def of(cls, values: Tensor, dims: int | tuple[int, int], center: bool) -> Moments:
        """Those over some dimensions of (n, size) values."""
        part = values.detach().double()
        mean = part.mean(dims) if center else part.new_zeros(())
        square = part.square().mean(dims)
        return cls(part.numel() // square.numel(), mean, (part - mean).square().mean(dims), square)

    @classmethod
    def joined(cls, parts: Sequence[Moments]) -> Moments:
        """Those of the numbers of all parts together."""
        total = sum(part.number for part in parts)

        def mean(values: Sequence[Tensor]) -> Tensor:
            return sum(
                (value * (part.number / total) for value, part in zip(values, parts, strict=True)), start=0 * values[0]
            )

        center = mean([part.mean for part in parts])
        variance = mean([part.variance + (part.mean - center).square() for part in parts])
        return cls(total, center, variance, mean([part.square for part in parts]))
