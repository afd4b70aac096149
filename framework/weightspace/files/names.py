"""Natural order of names (of classes, objects and views), and the names that splits have in published data."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Splits by the names that they have in published files and folders.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("internal", "internal_test"), "internal"),
}


def natural(name: str) -> list[tuple[int, int, str, str]]:
    """Sort key for natural order: numbers within names compare by value, everything else as text.

    >>> sorted(["net10", "net9", "b"], key=natural)
    ['b', 'net9', 'net10']
    """
    parts = re.split(r"([0-9]+)", name)  # text, digits, text, ...
    return [_number(part) if place % 2 else (1, 0, part, "") for place, part in enumerate(parts) if part]


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """The distinct names in natural order, which is the order of classes read from folders or text labels.

    >>> in_order(["10", "9", "10", "cat"])
    ('9', '10', 'cat')
    """
    return tuple(sorted(set(names), key=natural))


def split_called(name: str) -> str | None:
    """The split that a name stands for; None if it names no split.

    >>> split_called("Validation"), split_called("cat")
    ('val', None)
    """
    return SPLIT_NAMES.get(name.lower())


def _number(digits: str) -> tuple[int, int, str, str]:
    # compared as text of one length, since Python refuses to read integers of thousands of digits
    value = digits.lstrip("0")
    return (0, len(value), value, digits)
