"""Predictions as a table for other tools."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from weightspace.shown import cell


def write_predictions(path: Path, batches: list[Any], names: list[str]) -> None:
    """Writes what ``predict_step`` returned, one line per network.

    Args:
        path: the CSV file.
        batches: with "object", "view", and "probability" (B, K) of the classes or "prediction" (B, T) of the numbers.
        names: of the classes, or of the numbers.
    """
    classes = not batches or "probability" in batches[0]
    columns = ["class", *(f"p({name})" for name in names)] if classes else names
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["object", "view", *map(cell, columns)])
        for batch in batches:
            rows = batch["probability" if classes else "prediction"]
            for item, view, row in zip(batch["object"], batch["view"], rows, strict=True):
                chosen = [cell(names[int(row.argmax())])] if classes else []
                writer.writerow([int(item), int(view), *chosen, *(f"{float(p):.6f}" for p in row)])
