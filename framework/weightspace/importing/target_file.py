"""The JSON file beside exported networks with the kind and the ordered names of their target."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightspace.errors import ZooError
from weightspace.files import read_json
from weightspace.zoo import Zoo

#: Name of the file.
TARGET = "target.json"


@dataclass(frozen=True)
class TargetFile:
    """The contents of ``target.json``.

    Args:
        kind: "class", or "value" for numbers.
        names: names of all classes in the order of their numbers, or of the columns of the target.
        value_range: outputs of the networks for the values 0 and 1 of an object; None: not given.
    """

    kind: str
    names: tuple[str, ...]
    value_range: tuple[float, float] | None = None

    @classmethod
    def of(cls, zoo: Zoo) -> TargetFile:
        """The contents for a zoo."""
        target = zoo.header.target
        return cls(target["kind"], tuple(target["names"]), zoo.header.stated_range)

    def to_text(self) -> str:
        """Returns the JSON text, which ``read_target`` reads."""
        data: dict[str, Any] = {"kind": self.kind, "names": list(self.names)}
        if self.value_range is not None:
            data["value_range"] = list(self.value_range)
        return json.dumps(data, indent=1) + "\n"


def read_target(folder: Path) -> TargetFile | None:
    """Reads ``target.json`` in a folder; returns None if there is no such file.

    Raises:
        ZooError: the file has other contents.
    """
    path = folder / TARGET
    if not path.exists():
        return None
    data = read_json(path, ZooError, "the target of the networks beside it")
    kind, names, limits = data.get("kind"), data.get("names"), data.get("value_range")
    right = (
        kind in ("class", "value")
        and isinstance(names, list)
        and len(names) > 0
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
        and (limits is None or _is_range(limits))
    )
    if not right:
        raise ZooError(
            f'{path}: expected {{"kind": "class" or "value", "names": [different texts]}}, perhaps with "value_range", '
            f"found {str(data)[:100]}: correct it, or move it elsewhere"
        )
    return TargetFile(kind, tuple(names), None if limits is None else tuple(map(float, limits)))  # type: ignore[arg-type]


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(limit) in (int, float) and math.isfinite(limit) for limit in value)
        and value[0] != value[1]
    )
