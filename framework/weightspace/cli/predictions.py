"""Predictions as a table for other tools."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import require
from weightspace.data import ZooDataModule
from weightspace.data.targets import Target
from weightspace.distributed import gather
from weightspace.errors import ConfigError
from weightspace.files import write_whole
from weightspace.tasks.prediction import EXPECTED, check_prediction
from weightspace.text import cell


def joined(returned: Any, task: str, names: int, device: torch.device) -> dict[str, Tensor]:
    """All that ``predict_step`` returned, in all processes, on the CPU: "object", "view" and the result.

    Args:
        returned: a list of what it returned, batch by batch.
        task: the task's name, for messages.
        names: how many classes or numbers there are.
        device: of the run, through which the processes talk.

    Raises:
        ConfigError: it is not what predictions are.
    """
    batches = returned if isinstance(returned, list) else []
    kinds = [check_prediction(batch, task, names) for batch in batches]
    if not batches:
        raise ConfigError(f"{task}.predict_step has returned nothing: it should return {EXPECTED}")
    whole = {name: torch.cat([batch[name] for batch in batches]) for name in ("object", "view", kinds[0])}
    return {name: gather(tensor.to(device))[0].cpu() for name, tensor in whole.items()}


def write_predictions(path: Path, found: dict[str, Tensor], data: ZooDataModule, top_k: int | None = None) -> None:
    """Writes one line per network, in the order of objects and views.

    Args:
        path: the CSV file.
        found: see ``joined``.
        data: of the networks, which knows their true targets.
        top_k: the so many likeliest classes with their probabilities, instead of the probabilities of all.

    Raises:
        ConfigError: a network that the zoo does not have, or ``top_k`` out of range.
    """
    target, rows = data.target, data.rows_of(found["object"], found["view"])
    true, classes = data.targets_of(rows), "probability" in found
    result = found["probability" if classes else "prediction"]
    if top_k is not None:
        known = classes and 1 <= top_k <= len(target.names)
        require("top_k", top_k, known, f"in 1..{len(target.names)}, and of classes")
    lines = _class_lines(result, true, target, top_k) if classes else _value_lines(result, true, target)
    text = io.StringIO()
    writer = csv.writer(text)
    header = next(lines)
    writer.writerow(["object", "view", *map(cell, header)])
    lines = list(lines)
    for number in np.lexsort((found["view"].numpy(), found["object"].numpy())):
        writer.writerow([int(found["object"][number]), int(found["view"][number]), *map(cell, lines[number])])
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
    yield [*(f"true({name})" for name in target.names), *target.names]
    for row, known in zip(result.tolist(), true.tolist(), strict=True):
        yield [f"{value:.7g}" for value in (*known, *row)]
