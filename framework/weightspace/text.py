"""Making text from files (names, paths, provenance) safe for terminals, figures and spreadsheets."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

#: Longer text is shown without its middle.
LENGTH = 1_000
#: What makes a spreadsheet take a cell for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def shown(value: object, length: int = LENGTH) -> str:
    r"""One line of text in which every character that is not printable is written as an escape sequence.

    That includes control and escape codes, line breaks, characters that change the direction of writing or have no
    width, and lone surrogates.

    Args:
        value: anything; ``str`` makes text of it.
        length: longer text is shortened in its middle, >= 3.

    >>> shown("cat\x1b[2J\n"), shown("abcdefghij", length=7)
    ('cat\\x1b[2J\\n', 'abc...hij')
    """
    text = str(value)
    if len(text) > length:
        text = f"{text[: length // 2]}...{text[-(length // 2) :]}"
    return text if text.isprintable() else "".join(map(_visible, text))


def shown_lines(value: object, length: int = 10 * LENGTH) -> str:
    """As ``shown`` for each line: for messages of several lines.

    Args:
        value: anything; ``str`` makes text of it.
        length: longer lines are shortened in their middle.
    """
    return "\n".join(shown(line, length) for line in str(value).split("\n"))


def figure_text(value: object, length: int = 100) -> str:
    r"""As ``shown``, with dollar signs escaped, which would begin a formula in a figure.

    >>> figure_text("$x^$")
    '\\$x^\\$'
    """
    return shown(value, length).replace("$", r"\$")


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class PlainConsole(Console):
    """A rich console that prints text literally: no markup or emoji codes, and ``shown`` applied to every string.

    Styled text is passed as ``rich.text.Text``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"soft_wrap": True, "highlight": False, "markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Renders any string that rich prints, in ``print`` as well as in table cells and titles."""
        return super().render_str(shown_lines(text), **options)


def cell(value: Any) -> Any:
    r"""A cell for a spreadsheet: text is never taken for a formula, numbers stay numbers.

    Only for files that people open; the result does not round-trip.

    >>> [cell(value) for value in ("=1+1", "-0.5", -0.5, "cat", "a\tb", "- none")]
    ["'=1+1", '-0.5', -0.5, 'cat', 'a\\tb', "'- none"]
    """
    if not isinstance(value, str):
        return value
    formula = value.startswith(FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{shown(value)}" if formula else shown(value)


def call_text(made: object) -> str:
    """The constructor call of an object, with those arguments that it keeps as attributes of the same name.

    >>> class Net:
    ...     def __init__(self, size: int, seed: int = 0) -> None:
    ...         self.size = size
    >>> call_text(Net(3))
    'Net(size=3)'
    """
    names = [name for name in inspect.signature(type(made)).parameters if hasattr(made, name)]
    return f"{type(made).__name__}({', '.join(f'{name}={getattr(made, name)!r:.200}' for name in names)})"


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
