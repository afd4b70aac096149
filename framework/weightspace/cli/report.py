"""The command ``weightspace report RUNS...``, which compares runs in a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.cli.tables import FORMATS, terminal_tables
from weightspace.errors import ConfigError, closest
from weightspace.files import write_whole
from weightspace.runs.comparison import Column, by_experiment, compare
from weightspace.runs.curves import Curves, mean_curves, read_curves
from weightspace.runs.folder import RunFolder
from weightspace.text import PlainConsole


def report_cli(arguments: list[str]) -> None:
    """Runs ``weightspace report`` with the given arguments."""
    parser = Parser(prog="weightspace report", description="Compares runs.")
    parser.add_argument("runs", nargs="+", type=str, help="folders of runs, or folders that contain them")
    parser.add_argument("--mean", action="store_true", help="a row per experiment: mean and deviation over its seeds")
    with_intervals = "differences to this one, with 95% intervals; implies --mean"
    parser.add_argument("--baseline", type=str, metavar="EXPERIMENT", help=with_intervals)
    parser.add_argument("--metrics", nargs="+", type=str, metavar="NAME", help="keys of metrics.json: test/accuracy")
    parser.add_argument("--format", type=str, default="table", help="table, md, tex, csv or json (full numbers)")
    parser.add_argument("--out", type=str, metavar="FILE", help="write the md, tex, csv or json to a file")
    parser.add_argument("--curves", type=str, metavar="FILE", help="draw losses and validation scores (PNG)")
    options = parser.parse_args(arguments)
    if options.format not in ("table", *FORMATS):
        raise ConfigError(f"unknown format {options.format!r}: {closest(options.format, ['table', *FORMATS])}")
    if options.out and options.format == "table":
        raise ConfigError(f"--out writes a file: give its --format too, {', '.join(FORMATS)}")
    found = [run for name in options.runs for run in find_runs(Path(name))]
    folders = list({run.path.resolve(): run for run in found}.values())
    average = options.mean or options.baseline is not None
    columns = _columns(folders, options)
    if options.curves:
        _draw_curves(folders, average, options.curves)
    if options.format != "table":
        _write(FORMATS[options.format](columns), options.out)
        return
    console = make_console()
    console.print(terminal_tables(columns, console.width), soft_wrap=False)
    if options.curves:
        console.print(f"picture of the curves: {options.curves}")
    console.print(f"curves: tensorboard --logdir {options.runs[0] if len(options.runs) == 1 else _common(folders)}")
    if average:
        return
    for folder in folders:
        pictures = sorted(folder.pictures.glob("*.png"))
        if pictures:
            console.print(f"pictures: {', '.join(str(p) for p in pictures)}")


def _columns(folders: list[RunFolder], options: Any) -> list[Column]:
    if options.baseline is None:
        return compare(folders, options.metrics, options.mean)
    # imported here: intervals need scipy, which takes a second
    from weightspace.studies.against import compare_with

    return compare_with(folders, options.baseline, options.metrics)


def _write(text: str, out: str | None) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        write_whole(Path(out), text.encode())
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
    make_console().print(f"written to {out}")


def find_runs(path: Path) -> list[RunFolder]:
    """Finds run folders at or below a path, in order.

    Raises:
        ConfigError: there are no runs.
    """
    runs = [RunFolder(file.parent) for file in sorted(path.glob("**/provenance.json"))]
    if not runs:
        state = "holds no run" if path.exists() else "does not exist"
        raise ConfigError(f"{path} {state}: expected a folder with provenance.json, as `weightspace fit` writes it")
    return runs


def _draw_curves(folders: list[RunFolder], average: bool, out: str) -> None:
    """Draws the curves of all runs that have any, and reports the others."""
    # imported here: tables need neither matplotlib nor torch, which take most of the time of the command
    from weightspace.figures.images import save_figure
    from weightspace.figures.runs import curves_figure

    curves = _curves(folders, average)
    for name, found in curves.items():
        if not found:
            PlainConsole(stderr=True).print(f"left out of the curves: {name} has logged no losses or scores")
    save_figure(curves_figure({name: found for name, found in curves.items() if found}), out)


def _curves(folders: list[RunFolder], average: bool) -> dict[str, Curves]:
    """Curves by run, or their means by experiment, named without the common prefix of all names."""
    if average:
        found = {k: mean_curves([read_curves(r) for r in runs]) for k, runs in by_experiment(folders).items()}
    else:
        found = {str(folder.path): read_curves(folder) for folder in folders}
    start = len(os.path.commonpath([str(Path(name).resolve().parent) for name in found]))
    return {str(Path(name).resolve())[start:].lstrip("/"): curves for name, curves in found.items()}


def _common(folders: list[RunFolder]) -> Path:
    parents = [set(folder.path.parents) | {folder.path} for folder in folders]
    return max(set.intersection(*parents), key=lambda p: len(p.parts), default=Path("/"))
