"""Reading objects and views from the names of files."""

from __future__ import annotations

import re
from collections.abc import Callable

from weightspace.errors import ConfigError

#: Suffixes of files that contain one network.
ENDINGS = frozenset({".ckpt", ".pt", ".pth", ".safetensors"})


def view_splitter(pattern: str) -> Callable[[str], tuple[str, str] | None]:
    """Makes a function that splits a path into (object, view), or returns None if the path does not match the pattern.

    Args:
        pattern: text with ``{view}``, for instance "view_{view}/", that must match at the start of a component of the
            path; "none": every path is an object of its own.

    Raises:
        ConfigError: the pattern has no ``{view}``.

    >>> view_splitter("view_{view}/")("train/view_3/shoe_17/net.pth")
    ('train/shoe_17/net.pth', '3')
    >>> view_splitter("none")("shoe_17/net.pth")
    ('shoe_17/net.pth', '0')
    """
    if pattern == "none":
        return lambda path: (path, "0")
    before, placeholder, after = pattern.partition("{view}")
    if not placeholder or "{view}" in after:
        raise ConfigError(
            f"view_from: expected 'none' or a pattern with one {{view}}, as 'view_{{view}}/', found {pattern!r}"
        )
    lazy = "+?" if after else "+"
    expression = re.compile(f"(?:(?<=/)|^){re.escape(before)}([^/]{lazy}){re.escape(after)}")

    def split(path: str) -> tuple[str, str] | None:
        match = expression.search(path)
        return (path[: match.start()] + path[match.end() :], match[1]) if match else None

    return split
