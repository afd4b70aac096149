"""Formatting columns as terminal tables, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping

from rich.console import Group
from rich.table import Table

from weightspace.runs.comparison import Column
from weightspace.text import cell, shown

#: Width to which longer columns of text are folded.
FOLDED = 24


def terminal_tables(columns: list[Column], width: int) -> Group:
    """Splits columns into tables that fit a width, in which names are not folded.

    Args:
        columns: the columns; the first one, with the names of the rows, is repeated in every table.
        width: width in characters.
    """
    names, *others = [column for column in columns if column.texts]
    room = max(0, width - _width(names) - 3)
    parts: list[list[Column]] = [[]]
    for column in others:
        if parts[-1] and sum(_width(c) + 3 for c in [*parts[-1], column]) > room:
            parts.append([])
        parts[-1].append(column)
    return Group(*(_table([names, *part], width) for part in parts))


def _width(column: Column) -> int:
    """Number of characters that a column needs."""
    cells = max((len(shown(text)) for text in column.texts), default=0)
    if column.whole:
        return max(cells, len(column.title))
    heading = max(map(len, column.title.split()))
    return max(min(cells, FOLDED), min(heading, FOLDED))


def _table(columns: list[Column], width: int) -> Table:
    table = Table()
    for column in columns:
        whole = column.whole and _width(column) + 4 <= width
        table.add_column(column.title, no_wrap=whole, overflow="fold")
    for row in zip(*(column.texts for column in columns), strict=True):
        table.add_row(*map(shown, row))
    return table


def markdown(columns: list[Column]) -> str:
    """Formats columns as a Markdown table."""
    columns = [column for column in columns if column.texts]
    lines = [[column.title for column in columns], ["---"] * len(columns)]
    lines += [list(row) for row in zip(*(column.texts for column in columns), strict=True)]
    return "".join(f"| {' | '.join(shown(text).replace('|', chr(92) + '|') for text in line)} |\n" for line in lines)


def titled(tables: Mapping[str, list[Column]], write: Callable[[list[Column]], str], heading: str) -> str:
    """Writes tables one after another, each under its title.

    Args:
        tables: columns by title; a table without a title has no heading.
        write: writes one table.
        heading: text with ``{}`` for the title.
    """
    return "\n".join(
        f"{heading.format(shown(title))}\n{write(columns)}" if title else write(columns)
        for title, columns in tables.items()
    )


def comma_separated(columns: list[Column]) -> str:
    """Formats columns as CSV with full-precision numbers."""
    columns = [column for column in columns if column.values]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(column.title) for column in columns])
    writer.writerows([cell(value) for value in row] for row in zip(*(c.values for c in columns), strict=True))
    return text.getvalue()


def objects(columns: list[Column]) -> str:
    """Formats columns as JSON: a list with an object for each row."""
    columns = [column for column in columns if column.values]
    names = [column.title for column in columns]
    rows = zip(*(column.values for column in columns), strict=True)
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1) + "\n"


def latex(columns: list[Column]) -> str:
    """Formats columns as a LaTeX table, for the package booktabs."""
    columns = [column for column in columns if column.texts]
    head = [column.title for column in columns]
    rows = zip(*(column.texts for column in columns), strict=True)
    first, *others = [" & ".join(map(_escaped, line)) + r" \\" for line in (head, *rows)]
    begin = rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}"
    lines = [begin, r"\toprule", first, r"\midrule", *others, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    """Text in which LaTeX sees nothing but text."""
    special = {c: rf"\{c}" for c in "&%$#_{}"} | {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    }  # fmt: skip
    return "".join(special.get(c, c) for c in shown(text)).replace("+-", r"$\pm$")


FORMATS: dict[str, Callable[[list[Column]], str]] = {
    "csv": comma_separated, "json": objects, "md": markdown, "tex": latex,
}  # fmt: skip
