"""Names of files, and what they say of objects and views."""

from __future__ import annotations

import re
from collections.abc import Callable

from weightspace.errors import ConfigError

#: Endings of files that hold one network.
ENDINGS = frozenset({".ckpt", ".pt", ".pth", ".safetensors"})


def view_splitter(pattern: str) -> Callable[[str], tuple[str, str] | None]:
    """Takes the view out of a path: a function that gives (object, view), or None where the pattern is not there.

    Args:
        pattern: with ``{view}`` in it, for instance "view_{view}/", found at the beginning of a component of the path;
            "none": every path is an object of its own.

    Raises:
        ConfigError: a pattern without ``{view}``.

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
