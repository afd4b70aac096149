"""The tables and the figure of a study: on the terminal, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightspace.cli.console import make_console
from weightspace.cli.tables import FORMATS, terminal_tables
from weightspace.errors import ConfigError
from weightspace.files import write_whole
from weightspace.studies.cells import Cell
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record
from weightspace.studies.remade import other_makings
from weightspace.studies.study import Study
from weightspace.studies.table import check_metrics, columns_of, entries_of
from weightspace.text import PlainConsole

#: Width of the table that is written as text.
WIDTH = 160


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
    columns = columns_of(study, entries, worths)
    console.print(terminal_tables(columns, console.width), soft_wrap=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for suffix, write in FORMATS.items():
            write_whole(out / f"{study.name}.{suffix}", write(columns).encode())
        with (out / f"{study.name}.txt").open("w", encoding="utf-8") as file:
            text = PlainConsole(file=file, width=WIDTH)
            text.print(terminal_tables(columns, WIDTH), soft_wrap=False)
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


def _left_out(cells: Sequence[Cell], record: Record) -> str:
    """Says how many results are not shown since the base or a variant has changed; empty: none."""
    count = sum(record.differs(cell) for cell in cells)
    return f" ({count} of another configuration than the study has now are left out)" if count else ""
