"""The schema of headers and journals, checked before any value is used.

A digest detects accidents only, since anyone can write a file with a matching one; the schema does not rely on it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from reprlib import repr as short
from typing import Any

from weightspace.errors import ZooError

#: Bytes that a header or a journal may have: millions of networks, and what parsing takes in memory stays bounded.
TEXT_LIMIT = 64_000_000
#: Lists and objects within one another.
DEPTH = 12
SHARD_FILE = re.compile(r"[0-9]{5,9}\.safetensors")
SHA256 = re.compile(r"[0-9a-f]{64}")
DEVICE = re.compile(r"[a-z]{2,20}(:[0-9]{1,3})?")

Check = Callable[[Any], bool]


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Parses a JSON object with unique keys, finite numbers of at most 63 bits, and limited nesting.

    Raises:
        ZooError: it is not such an object.
    """

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) < len(pairs):
            raise ValueError("a key is there twice")
        return data

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    try:
        data = json.loads(content, object_pairs_hook=object_of, parse_constant=refuse)
        _check_plain(data)
    except (ValueError, RecursionError) as error:
        raise ZooError(f"{where} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise ZooError(f"{where} should be a JSON object, found {type(data).__name__}")
    return data


def _check_plain(data: Any) -> None:
    """Raises ValueError if a value is out of bounds, in particular one that Python would take forever to process."""
    rest = [(data, 0)]
    while rest:
        value, depth = rest.pop()
        if isinstance(value, (dict, list)):
            if depth == DEPTH:
                raise ValueError("it is nested too deep")
            inside = value.values() if isinstance(value, dict) else value
            rest += [(item, depth + 1) for item in inside if not isinstance(item, str)]
        elif (type(value) is int and abs(value) >= 2**63) or (type(value) is float and not math.isfinite(value)):
            raise ValueError("a number is out of range")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value)) and len(set(value)) == len(value)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _seed(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _one_of(*values: str) -> Check:
    return lambda value: value in values if isinstance(value, str) else False


def _like(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _object(**fields: Check) -> Check:
    """An object with exactly these fields."""
    return lambda value: (
        isinstance(value, dict) and value.keys() == fields.keys() and all(c(value[name]) for name, c in fields.items())
    )


def _list(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _either(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _map(value: Any) -> bool:
    return isinstance(value, dict)


def _target(value: Any) -> bool:
    return _object(kind=_one_of("class", "value"), names=_names)(value) and len(value["names"]) > 0


def _range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value)) and value[0] != value[1]


def _shard_name(value: Any) -> bool:
    return _like(SHARD_FILE)(value) and value == f"{int(value.split('.')[0]):05d}.safetensors"


_versions: Check = lambda value: _map(value) and all(map(_text, value.values()))  # noqa: E731
_shard = _object(file=_shard_name, rows=_count, bytes=_count, sha256=_like(SHA256))
_failed = _list(_either(_object(object=_seed, view=_seed, reason=_text), _object(path=_text, reason=_text)))
_repair = _either(
    _object(shard=_shard_name, was=_shard, versions=_versions), _object(shard=_shard_name, was=_shard, dropped=_count)
)


def _shards(value: Any) -> bool:
    """At least one network, in shards with increasing numbers."""
    if not _list(_shard)(value) or not sum(shard["rows"] for shard in value):
        return False
    numbers = [int(shard["file"].split(".")[0]) for shard in value]
    return all(a < b for a, b in pairwise(numbers))


#: key -> (check, what it should be)
Fields = Mapping[str, tuple[Check, str]]

#: Of ``zoo.json``, besides format, spec and digest.
HEADER: Fields = {
    "target": (_target, '{"kind": "class" or "value", "names": [different texts, at least one]}'),
    "quality": (_names, "a list of different names"),
    "provenance": (_map, "an object"),
    "shards": (_shards, "shards with file, rows, bytes and sha256, in the order of their numbers, not all empty"),
    "failed": (_failed, "a list of {object, view, reason} or {path, reason}"),
}

#: Of a provenance: each may be missing, and a writer may add others.
PROVENANCE: Fields = {
    "source": (_object(name=_text, digest=_text), "{name, digest}"),
    "source_arguments": (_map, "an object"),
    "recipe": (
        lambda v: _map(v) and _text(v.get("name", "")) and _range(v.get("value_range", [0, 1])),
        "an object, its name a text and its value_range two different numbers",
    ),
    "plan": (
        _object(train=_count, val=_count, test=_count, views=_count, eval_views=_count, seed=_seed),
        "{train, val, test, views, eval_views, seed}, whole numbers >= 0",
    ),
    "mode": (_one_of("compiled", "eager"), "compiled or eager"),
    "device": (_like(DEVICE), "the name of a device"),
    "versions": (_versions, "texts by name"),
    "imported": (_object(format=_text), "{format}"),
    "written": (_object(digest=_text), "{digest}"),
    "notes": (_map, "an object"),
    "value_range": (_range, "two different numbers"),
    "listing": (_text, "a text"),
    "kind": (_one_of("class", "value"), "class or value"),
    "spec": (_map, "an object"),
    "import_path": (_text, "a text"),
    "repairs": (_list(_repair), "a list of {shard, was, versions} or {shard, was, dropped}"),
    "license": (_text, "a text"),
    "attribution": (_text, "a text"),
    "near_copies": (_list(_list(_seed)), "a list of lists of objects"),
    "skipped": (_list(_object(path=_text, reason=_text)), "a list of {path, reason}"),
}

#: Of a journal's line about a shard.
SHARD_LINE: Fields = {
    "file": (_shard_name, "the name of a shard"),
    "rows": (_count, "a whole number >= 0"),
    "bytes": (_count, "a whole number >= 0"),
    "sha256": (_like(SHA256), "a checksum"),
    "failed": (_failed, HEADER["failed"][1]),
}


def check_provenance(data: Mapping[str, Any], where: str) -> None:
    """Checks the known fields of a provenance, or of a part of it.

    Raises:
        ZooError: names the first invalid field.
    """
    check_some(data, PROVENANCE, where)


def check_fields(data: Mapping[str, Any], fields: Fields, where: str) -> None:
    """Checks that an object has exactly these fields.

    Raises:
        ZooError: names the first field that is missing, invalid or unknown.
    """
    check_some(data, fields, where)
    for name in fields:
        if name not in data:
            raise ZooError(f"{where}: {name} is missing, expected {fields[name][1]}")
    for name in data:
        if name not in fields:
            raise ZooError(f"{where}: unknown field {short(name)}, expected {', '.join(fields)}")


def check_some(data: Mapping[str, Any], fields: Fields, where: str) -> None:
    """Checks those of the given fields that an object has.

    Raises:
        ZooError: names the first invalid field.
    """
    for name, (check, expected) in fields.items():
        if name in data and not check(data[name]):
            raise ZooError(f"{where}: {name} should be {expected}, found {short(data[name])}")
