"""Duration of commands with little work, which is mostly imports, and the slow modules that they import.

Each command is a process of its own. A round starts every command once, together with processes that only import torch
or Lightning, so that other load on the machine affects all of them alike. The median of several rounds is reported.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common import Report, Row

TORCH, LIGHTNING = "import torch", "import lightning.pytorch"
DIGITS = "--source digits --set steps=1 --mode eager"
#: Placeholder for a file or folder that does not exist yet.
NEW = "NEW"
#: Modules whose import is reported, the slowest first.
SLOW = ("lightning", "torch", "matplotlib", "scipy", "tensorboard")


def commands(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Makes the commands: name -> (arguments of Python, the import with which it is compared)."""
    zoo, run = folder / "zoo", folder / "run"
    of_torch = {
        "--version": "--version",
        "--help": "--help",
        "zoo --help": "zoo --help",
        "zoo fit --help": "zoo fit --help",
        "zoo fit, 3 networks": f"zoo fit {DIGITS} --train 2 --test 1 --out {NEW}",
        "zoo info": f"zoo info {zoo}",
        "zoo verify": f"zoo verify {zoo}",
        "zoo export": f"zoo export {zoo} --out {NEW}",
        "zoo show": f"zoo show {zoo} --out {NEW}.png",
        "report --help": "report --help",
        "report": f"report {run}",
        "plugin new": f"plugin new my-noise --out {NEW}",
        "augmentations --help": "augmentations --help",
        "embed --help": "embed --help",
    }
    of_lightning = {name: name for name in ("augmentations", "fit --help", "test --help")}
    found = {name: (["-c", name], name) for name in (TORCH, LIGHTNING)}
    for baseline, group in ((TORCH, of_torch), (LIGHTNING, of_lightning)):
        found |= {name: (["-m", "weightspace", *command.split()], baseline) for name, command in group.items()}
    return found


class Starts:
    """Starts commands in a folder with a zoo and a run."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        zoo = f"zoo fit {DIGITS} --train 20 --test 10 --out {folder / 'zoo'}"
        self._run(["-m", "weightspace", *zoo.split()])
        (folder / "run").mkdir()
        for name, content in (("config.yaml", {}), ("provenance.json", {}), ("metrics.json", {"fit": {"seconds": 1}})):
            (folder / "run" / name).write_text(json.dumps(content))

    def seconds(self, arguments: list[str]) -> float:
        """Measures the duration of one start."""
        start = time.perf_counter()
        self._run(arguments)
        return time.perf_counter() - start

    def imported(self, arguments: list[str]) -> list[str]:
        """Lists the slow modules that a command imports."""
        lines = self._run(["-X", "importtime", *arguments]).stderr.splitlines()
        found = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
        return [name for name in SLOW if name in found]

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        new = str(self._folder / f"new-{next(self._numbers)}")
        command = [sys.executable, *(argument.replace(NEW, new) for argument in arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True)


def main() -> None:
    report = Report(__doc__ or "", host_only="starting a command is work of the host")
    with tempfile.TemporaryDirectory() as folder:
        starts, known = Starts(Path(folder)), commands(Path(folder))
        imported = {
            name: starts.imported(arguments) for name, (arguments, _) in known.items()
        }  # also warms the disk cache
        taken: dict[str, list[float]] = {name: [] for name in known}
        for _ in range(1 if report.quick else 5):
            for name, (arguments, _) in known.items():
                taken[name].append(starts.seconds(arguments))
    rows: dict[str, Row] = {}
    for name, (_, baseline) in known.items():
        rows[name] = report.add(name, 1000 * median(taken[name]), "ms", rows.get(baseline))
        print(f"    imports {', '.join(imported[name]) or 'none of ' + ', '.join(SLOW)}")
    report.finish()


if __name__ == "__main__":
    main()
