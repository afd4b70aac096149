"""Collecting the result of a run from its folder."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from weightspace.runs.folder import RunFolder
from weightspace.runs.origin import origins_of
from weightspace.studies.record import Result
from weightspace.version import __version__


def collect(folder: RunFolder, tested: bool = True) -> Result | None:
    """The result of a run that has been trained, tested, and has written its predictions; None: something is missing.

    Args:
        folder: of the run.
        tested: whether the run is tested and predicts; otherwise training is all.

    Raises:
        ConfigError: a file is damaged.
    """
    found, predictions = folder.read_metrics(), folder.path / "predictions.csv"
    commands = ("fit", "test") if tested else ("fit",)
    if not set(commands) <= found.keys() or (tested and not predictions.is_file()):
        return None
    return replace(result_of(folder, commands), origins=origins_of(folder))


def result_of(folder: RunFolder, commands: Sequence[str]) -> Result:
    """What a run's folder has of some commands, also if that is not all; without digest and origins.

    Args:
        folder: of the run.
        commands: "fit", "test" or "validate"; with "test", the answers in ``predictions.csv`` are read, too.

    Raises:
        ConfigError: a file is damaged.
    """
    found, config, predictions = folder.read_metrics(), folder.path / "config.yaml", folder.path / "predictions.csv"
    metrics = {key: value for command in commands for key, value in found.get(command, {}).items()}
    numbers = {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
    return Result(
        digest="",
        config=hashlib.sha256(config.read_bytes()).hexdigest()[:16] if config.is_file() else "",
        metrics=numbers,
        seconds=numbers.get("seconds", 0.0),
        versions={"weightspace": __version__, "torch": version("torch")},
        **(_correctness(predictions) if "test" in commands and predictions.is_file() else {}),
    )


def _correctness(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"object", "view", "true", "class"} <= rows[0].keys():
        return {}
    names = ",".join(f"{row['object']}:{row['view']}" for row in rows)
    bits = np.packbits([row["true"] == row["class"] for row in rows])
    return {
        "objects": hashlib.sha256(names.encode()).hexdigest()[:16],
        "count": len(rows),
        "views": views_text([row["object"] for row in rows]),
        "correct": base64.b64encode(bits.tobytes()).decode(),
    }


def views_text(objects: Sequence[str]) -> str:
    """How many networks each object has, as "VIEWSxOBJECTS" for objects one after another; empty: each has one.

    Args:
        objects: of all networks; those of an object are one after another.

    >>> views_text(["8", "8", "9", "9", "12"]), views_text(["8", "9"])
    ('2x2 1x1', '')
    """
    views = [len(list(networks)) for _, networks in groupby(objects)]
    if len(views) == len(objects):
        return ""
    return " ".join(f"{count}x{len(list(alike))}" for count, alike in groupby(views))
