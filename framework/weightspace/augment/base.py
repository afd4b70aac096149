"""The base class of augmentations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, cast

import torch
from lightning.pytorch import Callback
from torch import Tensor

from weightspace.activations import ACTIVATIONS
from weightspace.augment.placement import moved
from weightspace.augment.results import check_result, check_versions, choose, versions
from weightspace.batch import WeightBatch, check_batch
from weightspace.checks import check_whole, is_number, require
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec
from weightspace.text import call_text


class Augmentation(Callback, ABC):
    """A random transformation of a batch of networks: ``sample`` draws its parameters, ``apply`` applies them.

    Being a Lightning callback, it may change its strength in ``on_train_epoch_start`` and keep state in checkpoints
    (``state_dict`` and ``load_state_dict``).

    Class attributes that subclasses set:
        exact: "function" (the network computes the same as before), "input" (it computes the moved object, and
            ``coordinates`` says which), or None.
        activations: the activations for which it is valid.
        uses_labels: whether it needs, and changes, the targets.
        family: heading under which it is listed.
        mixes: whether the result of a network depends on the other networks of its batch.
        moves_neurons: whether a stored alignment of the networks no longer holds for the result, since its neurons have
            another order, or other signs, phases or scales, or are mixed with those of networks that are not aligned.
            By default: whether ``exact`` is "function".
        stored_alignment: whether it uses the stored alignment of the zoo (``batch.frame``): False, True, or its name.
        shorthand: the parameter that a list in place of all parameters is for, as in ``one_of: [rotate, scale]``.

    An attribute that depends on the parameters is a property. Every constructor parameter is kept as an attribute of
    the same name, so that an equal instance can be built.

    Args:
        p: probability in [0, 1] that a network of the batch is changed.

    Raises:
        AugmentationError: a parameter is out of range.
    """

    set_by_constructor = "occurrence"

    exact: ClassVar[Literal["function", "input"] | None] = None
    activations: ClassVar[frozenset[str]] = frozenset(ACTIVATIONS)
    uses_labels: ClassVar[bool] = False
    family: ClassVar[str] = "other"
    mixes: ClassVar[bool] = False
    shorthand: ClassVar[str | None] = None

    def __init__(self, p: float = 1.0) -> None:
        self.p = self.in_range("p", p, 0.0, 1.0)
        #: which of its key it is among the augmentations of a run, from 0; the data module counts
        self.occurrence = 0
        #: what messages call it; the registry puts the entry-point name and the distribution here
        self.name = type(self).__name__
        #: what checkpoints call it; the registry puts the entry-point name here
        self.key = type(self).__name__

    @abstractmethod
    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Any:
        """Draws the random parameters on the batch's device, from the given generator only."""

    @abstractmethod
    def apply(self, batch: WeightBatch, params: Any) -> WeightBatch:
        """Returns the transformed batch. Deterministic, and never writes to its input."""

    def coordinates(self, x: Tensor, params: Any) -> Tensor:
        """For ``exact == "input"``: the points at which the original networks have the values of the new ones at x.

        Args:
            x: (N, d) points, or (B, N, d), those of each network.
            params: result of ``sample``.

        Returns:
            (B, N, d): new(x) = original(result).
        """
        raise NotImplementedError(f"{type(self).__name__} does not move the input")

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError if it is not valid for such networks; subclasses may add conditions.

        Args:
            spec: architecture of the networks.
            target: "class", "value" (regression) or None (no targets).
        """
        if not self.activations.issuperset(spec.activations):
            raise AugmentationError(
                f"{self.name}: valid for {'/'.join(sorted(self.activations))} networks only, these are {spec}"
            )
        if self.exact == "input" and spec.kernels:
            raise AugmentationError(
                f"{self.name}: moves the points that networks are functions of, and these read images: {spec}"
            )
        if self.uses_labels and target is None:
            raise AugmentationError(f"{self.name}: needs targets, and these networks have none")

    def __call__(
        self, batch: WeightBatch, generator: torch.Generator | None = None, *, seed: int | None = None
    ) -> WeightBatch:
        """Draws and applies, to each network with probability ``p``.

        Args:
            batch: B networks.
            generator: the source of randomness, on the batch's device.
            seed: in place of a generator; then it is also checked that the augmentation is valid for the batch.

        Raises:
            AugmentationError: not valid for such networks, or ``apply`` returned something of another kind than it was
                given.
            SpecError: not a batch.
            TypeError: neither a generator nor a seed, or both.
        """
        if (generator is None) == (seed is None):
            raise TypeError(f"{self.name}: give either a generator or a seed, as in augmentation(batch, seed=0)")
        check_batch(f"{self.name}: batch", batch)
        if generator is None:
            self.check(batch.spec, _target_kind(batch))
            generator = torch.Generator(device=batch.device).manual_seed(cast(int, seed))
        before = versions(batch)
        changed = self.applied(batch, self.sample(batch, generator))
        check_versions(self.name, batch, before)
        if self.p == 1.0:
            return changed
        return choose(torch.rand(len(batch), generator=generator, device=batch.device) < self.p, changed, batch)

    def applied(self, batch: WeightBatch, params: Any) -> WeightBatch:
        """The result of ``apply``, checked; for augmentations that are made of others.

        Args:
            batch: B networks.
            params: what ``sample`` drew for them.

        Raises:
            AugmentationError: ``apply`` wrote to its input, or returned something of another kind than it was given.
        """
        before = versions(batch)
        changed = self.apply(batch, params)
        check_versions(self.name, batch, before)
        check_result(self.name, batch, changed)
        # parts of a composition have done it already
        if self.exact == "input" and batch.placement is not None and changed.placement is batch.placement:
            return changed.replace(placement=moved(batch.placement, lambda x: self.coordinates(x, params)))
        return changed

    def __repr__(self) -> str:
        return call_text(self)

    @property
    def moves_neurons(self) -> bool:
        """Whether a stored alignment of the networks no longer holds for the result; subclasses may set a value."""
        return self.exact == "function"

    @property
    def stored_alignment(self) -> bool | str:
        """Whether it uses the stored alignment of the zoo, or which one; subclasses may set a value."""
        return False

    @property
    def changes_networks(self) -> bool:
        """Whether it may change a network's parameters: not with p = 0, nor where it is of targets alone."""
        return self.p > 0 and self.family != "label"

    @property
    def state_key(self) -> str:
        """Key of its state in checkpoints: name and occurrence, independent of other augmentations before it."""
        return f"augmentation/{self.key}/{self.occurrence}"

    @classmethod
    def in_range(cls, parameter: str, value: float, low: float, high: float, exclude: tuple[float, ...] = ()) -> float:
        """Returns the value.

        Args:
            parameter: its name, for the message.
            value: what was given.
            low, high: the ends of the range, which belong to it unless they are excluded.
            exclude: values within the range that are not allowed.

        Raises:
            AugmentationError: it is not such a number; names augmentation, parameter, range and value.
        """
        expected = f"in {low:g}..{high:g}" + "".join(f", but not {end:g}" for end in exclude)
        holds = is_number(value, finite=False) and low <= value <= high and value not in exclude
        require(f"{cls.__name__}: {parameter}", value, holds, expected, AugmentationError)
        return float(value)

    @classmethod
    def whole(cls, parameter: str, value: int, low: int, high: int) -> int:
        """Returns the value.

        Raises:
            AugmentationError: it is not a whole number in low..high; names augmentation, parameter, range and value.
        """
        return check_whole(f"{cls.__name__}: {parameter}", value, low, high, AugmentationError)


def _target_kind(batch: WeightBatch) -> str | None:
    """The name of a batch's target for ``Augmentation.check``."""
    if batch.targets is None:
        return None
    return "value" if batch.num_classes is None else "class"
