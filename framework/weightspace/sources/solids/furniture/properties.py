"""Reading Java's property files."""

from __future__ import annotations

import re

#: A key, which ends at the first "=", ":" or space that has no backslash before it, and its value.
PAIR = re.compile(r"((?:[^\\=: \t\f]|\\.)*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
SHORT = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(content: bytes) -> dict[str, str]:
    r"""Keys and values of a property file: ISO-8859-1, with \uXXXX for other characters.

    >>> read_properties(rb"name#1=Bill 10\u20ac" + b"\n# a comment\nfull\\ name : a \\\n   b")
    {'name#1': 'Bill 10€', 'full name': 'a b'}
    """
    found = {}
    for line in _lines(content.decode("latin-1")):
        match = PAIR.fullmatch(line)
        assert match is not None, "any text is a key and a value"
        key, value = (ESCAPE.sub(_character, part) for part in match.groups())
        found[key] = value
    return found


def _lines(text: str) -> list[str]:
    """Lines without comments; one that ends in an odd number of backslashes goes on in the next."""
    lines, begun = list[str](), ""
    for line in re.split(r"\r\n|\r|\n", text):
        part = line.lstrip(" \t\f")
        if not begun and (not part or part[0] in "#!"):
            continue
        begun += part
        if (len(begun) - len(begun.rstrip("\\"))) % 2:
            begun = begun[:-1]
            continue
        lines.append(begun)
        begun = ""
    return [*lines, begun] if begun else lines


def _character(match: re.Match[str]) -> str:
    code, other = match.groups()
    return chr(int(code, 16)) if code else SHORT.get(other, other)
