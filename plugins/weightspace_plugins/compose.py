"""Augmentations made of others: one of several, some of several, or one several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.checks import is_number, is_whole, require
from weightspace.errors import AugmentationError

from weightspace_plugins.composition import Composition
from weightspace_plugins.parts import Part


class OneOf(Composition):
    """Changes each network by one of several augmentations, which it draws.

    In YAML ``one_of: [rotate, sign_flip]``, or ``one_of: {of: [rotate, sign_flip], weights: [3, 1]}``. All parts get
    the networks as they were given: a partner that a part mixes in has not been changed by another part.

    Args:
        of: the parts: names, {name: {parameter: value}}, or instances.
        weights: of the parts, positive: each is drawn in proportion to its weight; None: all equally.
        p: probability that a network is changed. Parts have a p of their own.
    """

    alternatives = True
    shorthand = "of"

    def __init__(self, of: Sequence[Part], weights: Sequence[float] | None = None, p: float = 1.0) -> None:
        super().__init__(p, of)
        self.of, self.weights = of, _checked_weights(self, weights)

    def choose(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(parts, B) bool, one part for each network."""
        return _ranks(self, batch, generator) < 1


class SomeOf(Composition):
    """Changes each network by some of several augmentations, which it draws: different ones, in the listed order.

    In YAML ``some_of: {count: 2, of: [rotate, sign_flip, gaussian_noise]}``.

    Args:
        count: of the parts that a network draws, or a range [low, high] from which each network draws it uniformly,
            both ends included; at most the number of parts, and low may be 0.
        of: the parts: names, {name: {parameter: value}}, or instances.
        weights: of the parts, positive: each next one is drawn from those that are left, in proportion to its weight;
            None: all equally.
        p: probability that a network is changed. Parts have a p of their own.
    """

    def __init__(
        self, count: int | Sequence[int], of: Sequence[Part], weights: Sequence[float] | None = None, p: float = 1.0
    ) -> None:
        super().__init__(p, of)
        self.of, self.weights = of, _checked_weights(self, weights)
        self.count = count
        self.range = _checked_range(self, count)

    def choose(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(parts, B) bool, as many parts for each network as it draws."""
        ranks = _ranks(self, batch, generator)
        low, high = self.range
        if low == high:
            return ranks < low
        uniform = torch.rand(len(batch), generator=generator, device=batch.device, dtype=torch.float64)
        return ranks < low + (uniform * (high - low + 1)).floor()


class Repeat(Composition):
    """Applies an augmentation, or several in order, several times; each time draws anew.

    In YAML ``repeat: {of: dropout, times: 3}``, or ``repeat: {of: [rotate, scale], times: 2}``.

    Args:
        of: a part, or a list of them: a name, {name: {parameter: value}}, or an instance.
        times: how often, in 1..1000.
        p: probability that a network is changed. Parts have a p of their own, which is drawn each time.
    """

    def __init__(self, of: Part | Sequence[Part], times: int, p: float = 1.0) -> None:
        several = isinstance(of, Sequence) and not isinstance(of, str)
        super().__init__(p, of if several else [of])  # type: ignore[arg-type, list-item]
        self.of, self.times = of, self.whole("times", times, 1, 1000)
        self.places = self.places * times

    def choose(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(times * parts, B) of True."""
        return torch.ones(len(self.places), len(batch), dtype=torch.bool)


def _ranks(made: OneOf | SomeOf, batch: WeightBatch, generator: torch.Generator) -> Tensor:
    """(parts, B): as which each network draws each part, from 0, without replacement.

    The largest of log(u_i) / w_i, with u_i uniform, is the i-th with a probability in proportion to w_i, and so is the
    next largest among those that are left (Efraimidis and Spirakis, 2006).
    """
    kind: dict[str, Any] = {"dtype": torch.float64, "device": batch.device}
    uniform = torch.rand(len(batch), len(made.parts), generator=generator, **kind)
    keys = uniform.log() if made.weights is None else uniform.log() / torch.tensor(made.weights, **kind)
    return keys.argsort(1, descending=True).argsort(1).T


def _checked_weights(made: Composition, weights: Sequence[float] | None) -> Sequence[float] | None:
    """Returns the weights if they are positive numbers, one for each part."""
    count = len(made.parts)
    holds = weights is None or (
        isinstance(weights, list | tuple)
        and len(weights) == count
        and all(is_number(weight) and weight > 0 for weight in weights)
    )
    expected = f"a list of {count} positive numbers, one for each part"
    require(f"{type(made).__name__}: weights", weights, holds, expected, AugmentationError)
    return weights


def _checked_range(made: Composition, count: int | Sequence[int]) -> tuple[int, int]:
    """Smallest and largest number of parts, if they are in range."""
    parts = len(made.parts)
    ends = tuple(count) if isinstance(count, list | tuple) else (count, count)
    holds = len(ends) == 2 and all(map(is_whole, ends)) and 0 <= ends[0] <= ends[1] <= parts and ends[1] > 0
    holds = holds and (isinstance(count, list | tuple) or ends[0] > 0)
    expected = f"a whole number in 1..{parts}, the number of parts, or a range [low, high] within 0..{parts}"
    require(f"{type(made).__name__}: count", count, holds, expected, AugmentationError)
    return int(ends[0]), int(ends[1])
