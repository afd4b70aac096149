"""What distinguishes two alignments, in words."""

from __future__ import annotations

from collections.abc import Iterable
from reprlib import repr as short
from typing import Any

from weightspace.symmetry import group_name


def differences(there: dict[str, Any], asked: dict[str, Any], keys: Iterable[str]) -> list[str]:
    """A line for each of the keys in which two descriptions of alignments differ; see ``AlignmentHeader``.

    Args:
        there: read from a file, which may hold anything.
        asked: of the alignment that is to be made.
        keys: that are compared.
    """
    lines = []
    for key in keys:
        if (found := there.get(key)) != asked[key]:
            found, wanted = _in_words(key, found, asked[key]), _in_words(key, asked[key], found)
            wanted += " with other weights" if found == wanted else ""
            lines.append(f"{key}: {found} there, {wanted} asked")
    return lines


def _in_words(key: str, value: Any, other: Any) -> str:
    """A value in words; of versions those alone in which another value differs."""
    try:
        if key == "reference":
            return describe_reference(value)
        if key == "group":
            return group_name(value)
        if key == "versions":
            other = other if isinstance(other, dict) else {}
            return ", ".join(f"{name} {text}" for name, text in value.items() if other.get(name) != text) or "none"
    except (AttributeError, KeyError, TypeError):  # of a damaged file
        return short(value)
    return str(value) if isinstance(value, int | str) else short(value)


def describe_reference(reference: dict[str, Any]) -> str:
    """The reference of an alignment in words.

    >>> describe_reference({"to": "zoos/digits:3", "kind": "network", "object": 3, "view": 0})
    'object 3, view 0 of zoos/digits'
    """
    kind, (folder, colon, _) = reference["kind"], reference["to"].rpartition(":")
    if kind == "mean":
        return f"the mean of the training networks (rounds {reference['rounds']}, seed {reference['seed']})"
    if kind == "untrained":
        return f"an untrained network (seed {reference['seed']})"
    if kind == "network":
        return f"object {reference['object']}, view {reference['view']} of {folder if colon else 'this zoo'}"
    if kind == "stored":
        return f"the reference of alignment {reference['name']} of {folder}"
    return "a given network"
