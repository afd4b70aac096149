"""The target of a model: named classes or named columns of numbers. Class numbers are positions in the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightspace.errors import ConfigError
from weightspace.text import listed

#: Number of names that a message lists before it only counts the rest.
LISTED = 20


@dataclass(frozen=True)
class Target:
    """The kind of a target and the names of its classes or columns.

    Args:
        kind: "class", or "value" for numbers.
        names: names of the classes in the order of their numbers, or of the columns.
    """

    kind: str
    names: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Any) -> Target:
        """Builds a target from the result of ``to_json`` or from the header of a zoo.

        Raises:
            ConfigError: the data does not describe a target.
        """
        found = data if isinstance(data, Mapping) else {}
        kind, names = found.get("kind"), found.get("names")
        if kind not in ("class", "value") or not isinstance(names, (list, tuple)) or not all(map(_text, names)):
            raise ConfigError(f"a target should have a kind (class or value) and names, found {data!r:.200}")
        return cls(str(kind), tuple(names))

    def to_json(self) -> dict[str, Any]:
        """Returns the target as JSON data, for checkpoints and files."""
        return {"kind": self.kind, "names": list(self.names)}

    def __str__(self) -> str:
        return f"{'the classes' if self.kind == 'class' else 'the numbers'} {listed(self.names, LISTED)}"


def numbering(learned: Target, found: Target, where: str) -> list[int] | None:
    """The numbers of a model's classes for the classes of other data, in the order of that data.

    Args:
        learned: target of the model.
        found: target of the data.
        where: name of the data in error messages.

    Returns:
        None if the two targets are equal, else one number for each class of the data.

    Raises:
        ConfigError: the data has classes that the model does not know, or columns with other names.

    >>> numbering(Target("class", ("cat", "dog", "owl")), Target("class", ("owl", "cat")), "the zoo")
    [2, 0]
    """
    if learned == found:
        return None
    unknown = [name for name in found.names if name not in learned.names]
    if learned.kind != found.kind or learned.kind == "value" or unknown:
        which = f" ({_listed(unknown)} it does not know)" if unknown and learned.kind == found.kind == "class" else ""
        raise ConfigError(
            f"the model has learned {learned}, {where} has {found}{which}. Take data whose names are among those "
            "that it has learned, or train a head for these (FineTuneTask takes the encoder of any run)"
        )
    for target in (learned, found):
        if len(set(target.names)) < len(target.names):
            raise ConfigError(f"{learned} and {found} of {where} cannot be compared: a name occurs twice")
    return [learned.names.index(name) for name in found.names]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED])


def _text(value: Any) -> bool:
    return isinstance(value, str)
