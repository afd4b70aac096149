"""The tables and the figure of a study: on the terminal, and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from weightspace.cli.console import make_console
from weightspace.cli.tables import FORMATS, terminal_tables, titled
from weightspace.errors import ConfigError
from weightspace.files import write_whole
from weightspace.runs.comparison import Column
from weightspace.studies.cells import Cell
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record
from weightspace.studies.remade import other_makings
from weightspace.studies.study import Study
from weightspace.studies.table import check_metrics, columns_of, entries_of, tables_of
from weightspace.text import PlainConsole

#: Width of the table that is written as text.
WIDTH = 160
#: How tables are headed in the formats that are for readers: there, a table that is too wide is several.
HEADINGS = {"md": "**{}**\n", "tex": "% {}"}


def show_tables(study: Study, cells: Sequence[Cell], record: Record, out: Path) -> None:
    """Prints the table, and writes it as text, Markdown, CSV, JSON and LaTeX, with a figure.

    Args:
        study: the study.
        cells: its runs.
        record: its results.
        out: folder of the files.

    Raises:
        ConfigError: nothing is recorded, a metric was not measured, or the folder cannot be written.
    """
    # imported here: neither --help nor --dry-run needs matplotlib or torch
    from weightspace.figures.images import save_figure
    from weightspace.figures.study import differences_figure
    from weightspace.figures.worth import worth_figure

    entries = entries_of(study, cells, record)
    if not record.ended(cells):
        raise ConfigError(
            f"{study.record_file} holds no result of {study.path}{_left_out(cells, record)}: run the study"
        )
    check_metrics(study, record)
    console = make_console()
    if not any(entry.results for entry in entries.values()):
        console.print(f"no table yet: of no variant, all {study.folds} folds of a seed have ended")
        return
    worths = worths_of(study, entries)
    columns, tables = columns_of(study, entries, worths), tables_of(study, entries, worths)
    _print(tables, console)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for suffix, write in FORMATS.items():
            heading = HEADINGS.get(suffix)
            text = titled(tables, write, heading) if heading else write(columns)
            write_whole(out / f"{study.name}.{suffix}", text.encode())
        with (out / f"{study.name}.txt").open("w", encoding="utf-8") as file:
            _print(tables, PlainConsole(file=file, width=WIDTH))
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from error
    figure = worth_figure(study, entries, worths) if study.amounts else differences_figure(study, entries)
    save_figure(figure, str(out / f"{study.name}.png"))
    if left_out := _left_out(cells, record):
        console.print(f"{study.record_file}:{left_out}")
    for line in other_makings(record.ended(cells)):
        console.print(line)
    files = ", ".join([*FORMATS, "txt", "png"])
    console.print(f"table and figure: {out}/{study.name}.({files}); results: {study.record_file}")


def _print(tables: Mapping[str, list[Column]], console: Console) -> None:
    for title, columns in tables.items():
        if title:
            console.print(Text(f"{title}:"))
        console.print(terminal_tables(columns, console.width), soft_wrap=False)


def _left_out(cells: Sequence[Cell], record: Record) -> str:
    """Says how many results are not shown since the base or a variant has changed; empty: none."""
    count = sum(record.differs(cell) for cell in cells)
    return f" ({count} of another configuration than the study has now are left out)" if count else ""
