"""Checking the class attributes by which an augmentation declares its properties."""

from __future__ import annotations

from weightspace.activations import ACTIVATIONS
from weightspace.augment.base import Augmentation
from weightspace.constructed import check_constructed
from weightspace.errors import AugmentationError

EXACT = ("function", "input", None)


def faults(subject: Augmentation | type[Augmentation]) -> list[str]:
    """Describes each class attribute that has an invalid value."""
    found = []
    if subject.exact not in EXACT:
        found.append(f'exact must be "function", "input" or None, found {subject.exact!r}')
    activations = subject.activations
    if isinstance(activations, str) or not all(name in ACTIVATIONS for name in _items(activations)):
        known = ", ".join(sorted(ACTIVATIONS))
        found.append(f"activations must be a set of some of {known}, found {activations!r}")
    for name, kind in (("uses_labels", bool), ("mixes", bool), ("family", str)):
        value = getattr(subject, name)
        if not isinstance(value, kind):
            found.append(f"{name} must be a {kind.__name__}, found {value!r}")
    for name, kinds in (("moves_neurons", (bool,)), ("stored_alignment", (bool, str))):
        value = getattr(subject, name)
        if not isinstance(value, (*kinds, property)):  # a class may leave them to its instances
            found.append(f"{name} must be a {' or a '.join(k.__name__ for k in kinds)}, found {value!r}")
    return found


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


def _items(activations: object) -> list[object]:
    try:
        return list(activations)  # type: ignore[call-overload]
    except TypeError:
        return [activations]
