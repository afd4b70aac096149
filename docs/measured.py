"""Writing what a script has measured into a page: tables between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: Ends what a script writes.
END = "<!-- end of measurement -->\n"


def mark_of(script: str) -> str:
    """The line with which it begins."""
    return f"<!-- measured by docs/{script} -->\n"


def table_text(lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first line has the names of the columns.

    >>> print(table_text([["a", "b"], ["1", "2"]]), end="")
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    head, *rows = lines
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *rows))


def write_measured(page: Path, script: str, text: str) -> None:
    """Replaces what stands between the script's mark and the end.

    Raises:
        ValueError: the page lacks one of them.
    """
    old = page.read_text(encoding="utf-8")
    before, mark, rest = old.partition(mark_of(script))
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{page} has no lines {mark_of(script)}and {END}")
    page.write_text(f"{before}{mark}\n{text}\n{end}{after}", encoding="utf-8")
