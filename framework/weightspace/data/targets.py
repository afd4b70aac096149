"""What a model predicts: classes by their names, or columns of numbers. Numbers of classes are an order of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightspace.errors import ConfigError
from weightspace.text import listed

#: Names that a message lists before it counts the others.
LISTED = 20


@dataclass(frozen=True)
class Target:
    """Kind and names of a target.

    Args:
        kind: "class", or "value" for numbers.
        names: of the classes, in the order of their numbers; or of the columns.
    """

    kind: str
    names: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Any) -> Target:
        """Reads what ``to_json`` wrote, or a zoo's header holds.

        Raises:
            ConfigError: it is something else.
        """
        found = data if isinstance(data, Mapping) else {}
        kind, names = found.get("kind"), found.get("names")
        if kind not in ("class", "value") or not isinstance(names, (list, tuple)) or not all(map(_text, names)):
            raise ConfigError(f"a target should have a kind (class or value) and names, found {data!r:.200}")
        return cls(str(kind), tuple(names))

    def to_json(self) -> dict[str, Any]:
        """Plain data, for checkpoints and files."""
        return {"kind": self.kind, "names": list(self.names)}

    def __str__(self) -> str:
        return f"{'the classes' if self.kind == 'class' else 'the numbers'} {listed(self.names, LISTED)}"


def numbering(learned: Target, found: Target, where: str) -> list[int] | None:
    """The numbers that a model has learned for the classes of other data, in the order in which the data has them.

    Args:
        learned: by the model.
        found: in the data.
        where: what the data is called in a message.

    Returns:
        None, where the two are equal.

    Raises:
        ConfigError: the data has classes that the model does not know, or numbers of another name.

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
            raise ConfigError(f"{learned} and {found} of {where} cannot be compared: a name is there twice")
    return [learned.names.index(name) for name in found.names]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED])


def _text(value: Any) -> bool:
    return isinstance(value, str)
