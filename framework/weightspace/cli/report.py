"""``weightspace report RUNS...``: runs beside each other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import mean, stdev

from rich.table import Table

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.curves import Curves, mean_curves, read_curves
from weightspace.drawing import curves_figure, save_figure
from weightspace.errors import ConfigError
from weightspace.run_folder import RunFolder

COLUMNS = {
    "test accuracy": ("test", "test/accuracy", "{:.1%}"),
    "internal test": ("test", "internal_test/accuracy", "{:.1%}"),
    "test R2": ("test", "test/r2", "{:.3f}"),
    "test tau": ("test", "test/kendall", "{:.3f}"),
    "test MSE": ("test", "test/mse", "{:.3g}"),
    "best val R2": ("fit", "best val/r2", "{:.3f}"),
    "best val accuracy": ("fit", "best val/accuracy", "{:.1%}"),
    "networks/s": ("fit", "networks_per_second", "{:,.0f}"),
    "seconds": ("fit", "seconds", "{:.0f}"),
}


def report_cli(arguments: list[str]) -> None:
    """Parses the command and prints a table of the runs."""
    parser = Parser(prog="weightspace report", description="Compares runs.")
    parser.add_argument("runs", nargs="+", type=str, help="folders of runs, or folders that contain them")
    parser.add_argument("--mean", action="store_true", help="a row per experiment: mean and deviation over its seeds")
    parser.add_argument("--curves", type=str, metavar="FILE", help="draw losses and accuracies (PNG)")
    options = parser.parse_args(arguments)
    found = [run for name in options.runs for run in find_runs(Path(name))]
    folders = list({run.path.resolve(): run for run in found}.values())
    console = make_console()
    console.print(means_table(folders) if options.mean else runs_table(folders))
    if options.curves:
        save_figure(curves_figure(_curves(folders, options.mean)), options.curves)
        console.print(f"picture of the curves: {options.curves}")
    console.print(f"curves: tensorboard --logdir {options.runs[0] if len(options.runs) == 1 else _common(folders)}")
    if options.mean:
        return
    for folder in folders:
        pictures = sorted(folder.pictures.glob("*.png"))
        if pictures:
            console.print(f"pictures: {', '.join(str(p) for p in pictures)}")


def find_runs(path: Path) -> list[RunFolder]:
    """Run folders at or below a path, in order.

    Raises:
        ConfigError: there is none.
    """
    runs = [RunFolder(file.parent) for file in sorted(path.glob("**/provenance.json"))]
    if not runs:
        state = "holds no run" if path.exists() else "does not exist"
        raise ConfigError(f"{path} {state}: expected a folder with provenance.json, as `weightspace fit` writes it")
    return runs


def runs_table(folders: list[RunFolder]) -> Table:
    """One row per run; columns that no run has are left out."""
    metrics = [folder.read_metrics() for folder in folders]
    shown = {
        title: (command, key, form)
        for title, (command, key, form) in COLUMNS.items()
        if any(key in m.get(command, {}) for m in metrics)
    }
    table = Table("run", "parameters", *shown)
    for folder, measured in zip(folders, metrics, strict=True):
        provenance = json.loads((folder.path / "provenance.json").read_text(encoding="utf-8"))
        cells = [
            form.format(measured[command][key]) if key in measured.get(command, {}) else ""
            for command, key, form in shown.values()
        ]
        table.add_row(str(folder.path), f"{provenance['parameters']:,}", *cells)
    return table


def means_table(folders: list[RunFolder]) -> Table:
    """One row per experiment: mean and standard deviation (of a sample) over its runs, percentages in points."""
    groups = _by_experiment(folders)
    metrics = {name: [run.read_metrics() for run in runs] for name, runs in groups.items()}
    every = [m for found in metrics.values() for m in found]
    shown = {
        title: (command, key)
        for title, (command, key, _) in COLUMNS.items()
        if any(key in m.get(command, {}) for m in every)
    }
    table = Table("experiment", "runs", *shown)
    for name, found in metrics.items():
        cells = []
        for title, (command, key) in shown.items():
            values = [m[command][key] for m in found if key in m.get(command, {})]
            percent = "{:.1%}" in COLUMNS[title][2]
            cells.append(_mean_and_deviation([100 * v for v in values] if percent else values, "%" if percent else ""))
        table.add_row(name, str(len(found)), *cells)
    return table


def _mean_and_deviation(values: list[float], unit: str) -> str:
    if not values:
        return ""
    deviation = f" +- {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):,.1f}{deviation}{unit and ' ' + unit}"


def _by_experiment(folders: list[RunFolder]) -> dict[str, list[RunFolder]]:
    groups: dict[Path, list[RunFolder]] = {}
    for folder in folders:
        groups.setdefault(folder.path.resolve().parent, []).append(folder)
    return {str(runs[0].path.parent): runs for runs in groups.values()}


def _curves(folders: list[RunFolder], average: bool) -> dict[str, Curves]:
    """Curves by run, or their means by experiment, named without what all names begin with."""
    names = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")
    if average:
        found = {k: mean_curves([read_curves(r, names) for r in runs]) for k, runs in _by_experiment(folders).items()}
    else:
        found = {str(folder.path): read_curves(folder, names) for folder in folders}
    start = len(os.path.commonpath([str(Path(name).resolve().parent) for name in found]))
    return {str(Path(name).resolve())[start:].lstrip("/"): curves for name, curves in found.items()}


def _common(folders: list[RunFolder]) -> Path:
    parents = [set(folder.path.parents) | {folder.path} for folder in folders]
    return max(set.intersection(*parents), key=lambda p: len(p.parts), default=Path("/"))
