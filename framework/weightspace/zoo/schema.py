"""What a header may hold: kinds of values, checked before anything relies on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from weightspace.errors import ZooError

SHARD_FILE = re.compile(r"\d{5,9}\.safetensors")
SHA256 = re.compile(r"[0-9a-f]{64}")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _target(value: Any) -> bool:
    return isinstance(value, dict) and value.get("kind") in ("class", "value") and _texts(value.get("names"))


def _shard(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"file", "rows", "bytes", "sha256"}
        and isinstance(value["file"], str)
        and SHARD_FILE.fullmatch(value["file"]) is not None
        and _count(value["rows"])
        and _count(value["bytes"])
        and isinstance(value["sha256"], str)
        and SHA256.fullmatch(value["sha256"]) is not None
    )


def _shards(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(map(_shard, value)):
        return False
    return len({shard["file"] for shard in value}) == len(value)


def _provenance(value: Any) -> bool:
    """Whatever a writer says of a zoo; what this library reads of it has these kinds."""
    if not isinstance(value, dict):
        return False
    source, limits = value.get("source", {"name": "", "digest": ""}), value.get("value_range", [0.0, 1.0])
    imported = value.get("imported", {"format": ""})
    maps = (source, imported, *(value.get(key, {}) for key in ("source_arguments", "recipe", "plan", "versions")))
    return (
        all(isinstance(item, dict) for item in maps)
        and all(isinstance(source.get(key), str) for key in ("name", "digest"))
        and isinstance(imported.get("format"), str)
        and isinstance(limits, list)
        and len(limits) == 2
        and all(isinstance(limit, (int, float)) for limit in limits)
        and limits[0] != limits[1]
        and all(isinstance(value.get(key, []), list) for key in ("repairs", "skipped"))
    )


#: key -> (check, what it should be)
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "target": (_target, '{"kind": "class" or "value", "names": [text, ...]}'),
    "quality": (lambda value: _texts(value) and len(set(value)) == len(value), "different names"),
    "provenance": (_provenance, "an object with source, recipe, plan, versions as format 1 has them"),
    "shards": (_shards, "shards with file, rows, bytes and sha256, at least one, each file once"),
    "failed": (lambda v: isinstance(v, list) and all(isinstance(item, dict) for item in v), "a list of objects"),
}


def check_fields(data: dict[str, Any], where: str) -> None:
    """Checks all fields of a header but its spec.

    Raises:
        ZooError: the first that is missing, or of another kind.
    """
    for name, (check, expected) in FIELDS.items():
        if name not in data or not check(data[name]):
            found = repr(data.get(name, "nothing"))[:100]
            raise ZooError(f"{where}: {name} should be {expected}, found {found}")
