"""Augmentations that have others as parts: what the framework asks and tells them reaches the parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback
from weightspace.augment import Augmentation, build_augmentations
from weightspace.augment.attributes import check_instance
from weightspace.augment.frames import stored_alignment
from weightspace.checks import require
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec

#: A part as in ``data.augmentations``: a name, {name: {parameter: value}}, or an instance.
Part = str | Mapping[str, Any] | Augmentation


class WithParts(Augmentation):
    """An augmentation with parts, whose hooks it calls and whose states it keeps.

    Args:
        p: probability that a network is changed.
        parameter: name of the parameter that lists the parts, for messages.
        of: the parts.

    Raises:
        AugmentationError: no list of one or more, or a part cannot be built.
    """

    def __init__(self, p: float, parameter: str, of: Sequence[Part]) -> None:
        super().__init__(p)
        listed = isinstance(of, Sequence) and not isinstance(of, str) and len(of) > 0
        require(f"{self.name}: {parameter}", of, listed, "a list of one or more", AugmentationError)
        self.parts = build_augmentations(of)
        for part in self.parts:
            check_instance(part)

    @property
    def moves_neurons(self) -> bool:
        """Whether a part moves neurons."""
        return any(part.moves_neurons and part.changes_networks for part in self.parts)

    @property
    def stored_alignment(self) -> bool | str:
        """The stored alignment that a part uses."""
        return stored_alignment(self.parts)

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless each part is valid; the message names both."""
        for part in self.parts:
            try:
                part.check(spec, target)
            except AugmentationError as error:
                raise AugmentationError(f"{self.name}: {error}") from error
        super().check(spec, target)

    def state_dict(self) -> dict[str, Any]:
        """States of the parts by their places and classes, for checkpoints."""
        states = {f"{place}/{type(part).__name__}": part.state_dict() for place, part in enumerate(self.parts)}
        return {key: state for key, state in states.items() if state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the states from a checkpoint of parts that are still in their places; others begin anew."""
        for key, state in state_dict.items():
            place, _, name = key.partition("/")  # earlier versions have no classes
            part = self.parts[int(place)] if int(place) < len(self.parts) else None
            if part is not None and name in ("", type(part).__name__):
                part.load_state_dict(state)


def _passing_on(hook: str) -> Callable[..., None]:
    """A method that calls the hook of each part; of an instance that is two parts, once."""

    def call(self: WithParts, *arguments: Any, **named: Any) -> None:
        for part in {id(part): part for part in self.parts}.values():
            getattr(part, hook)(*arguments, **named)

    call.__name__, call.__qualname__ = hook, f"{WithParts.__name__}.{hook}"
    call.__doc__ = f"Calls ``{hook}`` of the parts."
    return call


# every hook of a Lightning callback, so that a part may use any of them
for _hook in dir(Callback):
    if _hook.startswith("on_") or _hook in ("setup", "teardown"):
        setattr(WithParts, _hook, _passing_on(_hook))
