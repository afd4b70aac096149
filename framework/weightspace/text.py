"""Text from files (names, paths, provenance) on its way to a terminal or a spreadsheet."""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.text import Text

#: Longer text is shown without its middle.
LENGTH = 1_000
#: What makes a spreadsheet take a cell for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def shown(value: object, length: int = LENGTH) -> str:
    r"""Text on one line with all that is not printable made visible.

    That is control and escape codes, line breaks, what turns the direction of writing, has no width, or cannot be
    encoded.

    Args:
        value: text, or what ``str`` makes text of.
        length: longer text loses its middle, >= 3.

    >>> shown("cat\x1b[2J\n"), shown("abcdefghij", length=7)
    ('cat\\x1b[2J\\n', 'abc...hij')
    """
    text = str(value)
    if len(text) > length:
        text = f"{text[: length // 2]}...{text[-(length // 2) :]}"
    return text if text.isprintable() else "".join(map(_visible, text))


def shown_lines(value: object, length: int = 10 * LENGTH) -> str:
    """As ``shown``, but its line breaks stay: for messages of several lines.

    Args:
        value: text, or what ``str`` makes text of.
        length: longer lines lose their middle.
    """
    return "\n".join(shown(line, length) for line in str(value).split("\n"))


def figure_text(value: object, length: int = 100) -> str:
    r"""As ``shown``, for the texts of a figure, where dollars would begin a formula.

    >>> figure_text("$x^$")
    '\\$x^\\$'
    """
    return shown(value, length).replace("$", r"\$")


class PlainConsole(Console):
    """A console on which text is text: no markup, no emoji codes, and all that is not printable made visible.

    What is to have a style is given as ``rich.text.Text``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"soft_wrap": True, "highlight": False, "markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Rich's, on which all its texts come by: those of ``print``, and of the cells and titles of tables."""
        return super().render_str(shown_lines(text), **options)


def cell(value: Any) -> Any:
    r"""A value for a spreadsheet that people open: text is never a formula, numbers stay numbers.

    Not for files that are read again by us.

    >>> [cell(value) for value in ("=1+1", "-0.5", -0.5, "cat", "a\tb", "- none")]
    ["'=1+1", '-0.5', -0.5, 'cat', 'a\\tb', "'- none"]
    """
    if not isinstance(value, str):
        return value
    formula = value.startswith(FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{shown(value)}" if formula else shown(value)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
