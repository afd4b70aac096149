"""What an augmentation's class says of itself, checked before anything relies on it."""

from __future__ import annotations

from weightspace.augment.base import Augmentation
from weightspace.constructed import check_constructed
from weightspace.errors import AugmentationError
from weightspace.spec import ACTIVATION_SYMMETRIES

EXACT = ("function", "input", None)


def faults(subject: Augmentation | type[Augmentation]) -> list[str]:
    """The class facts that are not among the values that are defined, each in a few words."""
    found = []
    if subject.exact not in EXACT:
        found.append(f'exact must be "function", "input" or None, found {subject.exact!r}')
    activations = subject.activations
    if isinstance(activations, str) or not all(name in ACTIVATION_SYMMETRIES for name in _items(activations)):
        known = ", ".join(sorted(ACTIVATION_SYMMETRIES))
        found.append(f"activations must be a set of some of {known}, found {activations!r}")
    for name, kind in (("uses_labels", bool), ("mixes", bool), ("family", str)):
        value = getattr(subject, name)
        if not isinstance(value, kind):
            found.append(f"{name} must be a {kind.__name__}, found {value!r}")
    return found


def check_facts(subject: Augmentation | type[Augmentation], title: str) -> None:
    """Raises AugmentationError that names the faults of the class facts of ``title``."""
    if found := faults(subject):
        raise AugmentationError(f"{title}: {'; '.join(found)}")


def check_instance(augmentation: object, title: str | None = None) -> None:
    """Raises AugmentationError where it is no augmentation, or one whose base class was never set up."""
    title = title or type(augmentation).__name__
    if not isinstance(augmentation, Augmentation):
        raise AugmentationError(f"{title}: expected an Augmentation, found {augmentation!r}")
    check_constructed(augmentation, AugmentationError, title)
    check_facts(augmentation, title)


def _items(activations: object) -> list[object]:
    try:
        return list(activations)  # type: ignore[call-overload]
    except TypeError:
        return [activations]
