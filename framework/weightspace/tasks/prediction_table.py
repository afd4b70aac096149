"""Writing predictions to a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from weightspace.checks import require
from weightspace.data import ZooDataModule
from weightspace.data.rows import rows_of
from weightspace.data.targets import Target
from weightspace.files import write_whole
from weightspace.tasks.prediction import Predictions
from weightspace.text import cell
from weightspace.zoo import Zoo


def write_predictions(
    path: Path, found: Sequence[tuple[Zoo, Predictions]], data: ZooDataModule, top_k: int | None = None
) -> None:
    """Writes predictions to a CSV file, with one line per network, sorted by object and view.

    The true targets stand beside them, unless something else is predicted. If there are several zoos, each line begins
    with the name of its own.

    Args:
        path: the CSV file.
        found: predictions with known objects and views, of the networks of each zoo.
        data: data module of the networks, which numbers their classes.
        top_k: write only the ``top_k`` likeliest classes with their probabilities; None: all classes.

    Raises:
        ConfigError: a zoo does not contain a network, or ``top_k`` is out of range.
    """
    target = found[0][1].target
    if top_k is not None:
        known = target.kind == "class" and 1 <= top_k <= len(target.names)
        require("top_k", top_k, known, f"in 1..{len(target.names)}, and of classes")
    several, lines = len(found) > 1, list[tuple[int, int, list[Any]]]()
    header: list[Any] = []
    for zoo, predictions in found:
        header, own = _lines(zoo, predictions, data, top_k)
        lines += [(item, view, [str(zoo.path)] * several + line) for item, view, line in own]
    text = io.StringIO()
    writer = csv.writer(text)
    names = ["object", "view", *["zoo"] * several, *header]
    writer.writerow(map(cell, names))
    for item, view, line in sorted(lines, key=lambda line: line[:2]):  # of equal ones, in the order of the zoos
        writer.writerow([item, view, *map(cell, line)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.getvalue().encode())


def _lines(
    zoo: Zoo, found: Predictions, data: ZooDataModule, top_k: int | None
) -> tuple[list[Any], list[tuple[int, int, list[Any]]]]:
    """Names of columns, and object, view and columns of each network."""
    assert found.objects is not None
    assert found.views is not None
    rows, target = rows_of(zoo, found.objects, found.views), found.target
    true = data.numbered(zoo.targets[rows]) if target == data.target else found.result[:, :0]
    if target.kind == "class":
        header, *lines = _class_lines(found.result, true, target, top_k)
    else:
        header, *lines = _value_lines(found.result, true, target)
    return header, list(zip(found.objects.tolist(), found.views.tolist(), lines, strict=True))


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
