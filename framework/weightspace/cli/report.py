"""``weightspace report RUNS...``: runs beside each other."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.errors import ConfigError
from weightspace.run_folder import RunFolder

COLUMNS = {
    "test accuracy": ("test", "test/accuracy", "{:.1%}"),
    "internal test": ("test", "internal_test/accuracy", "{:.1%}"),
    "best val accuracy": ("fit", "best val/accuracy", "{:.1%}"),
    "networks/s": ("fit", "networks_per_second", "{:,.0f}"),
    "seconds": ("fit", "seconds", "{:.0f}"),
}


def report_cli(arguments: list[str]) -> None:
    """Parses the command and prints a table of the runs."""
    parser = Parser(prog="weightspace report", description="Compares runs.")
    parser.add_argument("runs", nargs="+", type=str, help="folders of runs, or folders that contain them")
    found = [run for name in parser.parse_args(arguments).runs for run in find_runs(Path(name))]
    folders = list({run.path.resolve(): run for run in found}.values())
    console = make_console()
    console.print(runs_table(folders))
    console.print(f"curves: tensorboard --logdir {arguments[0] if len(arguments) == 1 else _common(folders)}")
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


def _common(folders: list[RunFolder]) -> Path:
    parents = [set(folder.path.parents) | {folder.path} for folder in folders]
    return max(set.intersection(*parents), key=lambda p: len(p.parts), default=Path("/"))
