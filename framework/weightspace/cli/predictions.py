"""Predictions as a table for other tools."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any


def write_predictions(path: Path, batches: list[Any], class_names: list[str]) -> None:
    """Writes what ``predict_step`` returned, one line per network."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["object", "view", "class", *(f"p({name})" for name in class_names)])
        for batch in batches:
            for item, view, row in zip(batch["object"], batch["view"], batch["probability"], strict=True):
                numbers = [f"{float(p):.6f}" for p in row]
                writer.writerow([int(item), int(view), class_names[int(row.argmax())], *numbers])
