"""Writing predictions to a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from weightspace.checks import require
from weightspace.data import ZooDataModule
from weightspace.data.rows import rows_of
from weightspace.data.targets import Target
from weightspace.files import write_whole
from weightspace.tasks.prediction import Predictions
from weightspace.text import cell


def write_predictions(path: Path, found: Predictions, data: ZooDataModule, top_k: int | None = None) -> None:
    """Writes predictions to a CSV file, with one line per network, sorted by object and view.

    The true targets stand beside them, unless something else is predicted.

    Args:
        path: the CSV file.
        found: predictions with known objects and views.
        data: data module of the networks, which has their true targets.
        top_k: write only the ``top_k`` likeliest classes with their probabilities; None: all classes.

    Raises:
        ConfigError: the zoo does not contain a network, or ``top_k`` is out of range.
    """
    assert found.objects is not None
    assert found.views is not None
    rows, target = rows_of(data.zoo, found.objects, found.views), found.target
    true = data.targets_of(rows) if target == data.target else found.result[:, :0]
    result, classes = found.result, target.kind == "class"
    if top_k is not None:
        known = classes and 1 <= top_k <= len(target.names)
        require("top_k", top_k, known, f"in 1..{len(target.names)}, and of classes")
    lines = _class_lines(result, true, target, top_k) if classes else _value_lines(result, true, target)
    text = io.StringIO()
    writer = csv.writer(text)
    header = next(lines)
    writer.writerow(["object", "view", *map(cell, header)])
    lines = list(lines)
    for number in np.lexsort((found.views.numpy(), found.objects.numpy())):
        writer.writerow([int(found.objects[number]), int(found.views[number]), *map(cell, lines[number])])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.getvalue().encode())


def _class_lines(result: Tensor, true: Tensor, target: Target, top_k: int | None) -> Any:
    names = target.names
    ranks = range(1, (top_k or 0) + 1)
    yield ["true", "class", *(f"p({name})" for name in names)] if top_k is None else [
        "true", "class", *(column for rank in ranks for column in (f"top_{rank}", f"p_{rank}"))
    ]  # fmt: skip
    shares, order = result.sort(dim=1, descending=True, stable=True)
    for row, k, likeliest, share in zip(result.tolist(), true.tolist(), order.tolist(), shares.tolist(), strict=True):
        best = [text for j in range(top_k or 0) for text in (names[likeliest[j]], f"{share[j]:.6f}")]
        yield [names[k], names[likeliest[0]], *(best if top_k is not None else [f"{p:.6f}" for p in row])]


def _value_lines(result: Tensor, true: Tensor, target: Target) -> Any:
    yield [*(f"true({name})" for name in target.names[: true.shape[1]]), *target.names]
    for row, known in zip(result.tolist(), true.tolist(), strict=True):
        yield [f"{value:.7g}" for value in (*known, *row)]
