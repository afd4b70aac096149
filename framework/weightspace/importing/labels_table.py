"""Reading labels of files from a CSV file, as written by hand or by spreadsheets."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from weightspace.errors import ZooError
from weightspace.files import read_regular
from weightspace.importing.listing import split_name

#: Default name of the file.
LABELS = "labels.csv"
#: Its largest size in bytes: enough for some millions of networks.
LIMIT = 1 << 30
SEPARATORS = (",", ";", "\t", "|")
COLUMNS = ("path", "label", "object", "view", "split")


@dataclass(frozen=True)
class Row:
    """The entries of one file: its label ("": none) and, optionally, split, object and view."""

    label: str
    split: str | None = None
    object: str = ""
    view: str = ""


def read_labels(table: Path, root: Path, files: Collection[str]) -> tuple[dict[str, Row], list[str]]:
    """Reads a table with the columns path and label and, optionally, object, view and split.

    Columns are separated by commas, semicolons, tabs or bars, and their names may be in upper case. A path may contain
    backslashes and start with ``./`` or the path of the folder; spaces around entries are ignored.

    Args:
        table: the file, in UTF-8 (with or without a byte order mark) or UTF-16.
        root: the folder whose files are listed.
        files: names of the files in that folder, with slashes.

    Returns:
        The rows by name, and the names that are listed again with equal entries.

    Raises:
        ZooError: the table cannot be read, lacks a column, has more cells than columns in a row, or has two different
            rows for one file.
    """
    lines = csv.reader(io.StringIO(_text(table), newline=""), delimiter=(separator := _separator(table)))
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        places = _places(header, table)
        known, first = frozenset(files), {}
        rows: dict[str, Row] = {}
        copies = []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                raise ZooError(
                    f"{table}, line {lines.line_num}: {len(cells)} entries for {len(header)} columns (separated by "
                    f"{separator!r}): quote entries that contain the separator"
                )
            entry = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
            name = _name(entry.pop("path"), root, known)
            split = entry.pop("split", "")
            row = Row(split=split_name(split, table) if split else None, **entry)
            if name not in rows:
                rows[name], first[name] = row, lines.line_num
            elif rows[name] == row:
                copies.append(name)
            else:
                raise ZooError(
                    f"{table}: {name} is listed twice, in line {first[name]} ({_described(rows[name])}) and in line "
                    f"{lines.line_num} ({_described(row)}): remove the wrong one"
                )
    except csv.Error as error:
        raise ZooError(f"{table}, line {lines.line_num}, cannot be read as CSV: {error}") from error
    return rows, copies


def _text(table: Path) -> str:
    try:
        content = read_regular(table, LIMIT)
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ZooError(
            f"{table} should be text in UTF-8, and is not at byte {error.start}: save it as UTF-8"
        ) from error
    except OSError as error:
        raise ZooError(f"{table} cannot be read as CSV: {error.strerror or error}") from error


def _separator(table: Path) -> str:
    """The separator with which the first line has a column path; a comma if there is none."""
    header = _text(table).partition("\n")[0].lower()
    for separator in SEPARATORS:
        names = [name.strip().strip('"') for name in header.strip().split(separator)]
        if {"path", "label"} <= set(names):
            return separator
    return ","


def _places(header: list[str], table: Path) -> dict[str, int]:
    """Position of each known column."""
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise ZooError(f"{table}: two columns are called {twice[0]}: remove one")
    if not {"path", "label"} <= set(header):
        found = ", ".join(header) or "none"
        raise ZooError(f"{table}: expected the columns path and label in its first line, found {found}")
    return {name: header.index(name) for name in COLUMNS if name in header}


def _name(path: str, root: Path, known: frozenset[str]) -> str:
    """The name of a file below the root for a path in the table."""
    if path in known:
        return path
    pure = PurePosixPath(path.replace("\\", "/"))
    for base in (root, root.resolve()):
        if pure.is_relative_to(base.as_posix()) and pure.is_absolute():
            return pure.relative_to(base.as_posix()).as_posix()
    return pure.as_posix()


def _described(row: Row) -> str:
    named = {"label": row.label, "object": row.object, "view": row.view, "split": row.split}
    return ", ".join(f"{name} {value!r}" for name, value in named.items() if value)
