"""Checking the class attributes by which an augmentation declares its properties."""

from __future__ import annotations

from types import NoneType

from weightspace.activations import ACTIVATIONS
from weightspace.augment.base import Augmentation
from weightspace.constructed import check_constructed
from weightspace.errors import AugmentationError

EXACT = ("function", "input", None)
#: The others, with their types.
ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "uses_labels": (bool,),
    "mixes": (bool,),
    "family": (str,),
    "shorthand": (str, NoneType),
    "moves_neurons": (bool,),
    "stored_alignment": (bool, str),
}


def faults(subject: Augmentation | type[Augmentation]) -> list[str]:
    """Describes each class attribute that has an invalid value; a class may leave them to its instances."""
    values = {name: getattr(subject, name) for name in (*ATTRIBUTES, "exact", "activations")}
    found = []
    exact, activations = values["exact"], values["activations"]
    if exact not in EXACT and not by_instance(exact):
        found.append(f'exact must be "function", "input" or None, found {exact!r}')
    if not by_instance(activations) and not _known(activations):
        known = ", ".join(sorted(ACTIVATIONS))
        found.append(f"activations must be a set of some of {known}, found {activations!r}")
    for name, kinds in ATTRIBUTES.items():
        if not isinstance(values[name], kinds) and not by_instance(values[name]):
            named = " or a ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
            found.append(f"{name} must be a {named}, found {values[name]!r}")
    return found


def by_instance(value: object) -> bool:
    """Whether a value of a class attribute depends on the instance."""
    return isinstance(value, property)


def check_attributes(subject: Augmentation | type[Augmentation], title: str) -> None:
    """Raises AugmentationError if a class attribute of ``title`` is invalid."""
    if found := faults(subject):
        raise AugmentationError(f"{title}: {'; '.join(found)}")


def check_instance(augmentation: object, title: str | None = None) -> None:
    """Raises AugmentationError if it is not an augmentation, or does not call the constructor of its base."""
    title = title or type(augmentation).__name__
    if not isinstance(augmentation, Augmentation):
        raise AugmentationError(f"{title}: expected an Augmentation, found {augmentation!r}")
    check_constructed(augmentation, AugmentationError, title)
    check_attributes(augmentation, title)


def _known(activations: object) -> bool:
    """Whether it is a collection of names of activations."""
    if isinstance(activations, str):
        return False
    try:
        return all(name in ACTIVATIONS for name in activations)  # type: ignore[attr-defined]
    except TypeError:
        return False
