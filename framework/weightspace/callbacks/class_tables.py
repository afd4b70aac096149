"""Tables of confusion matrices and scores of each class in the run's folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision, multiclass_recall

from weightspace.callbacks.confusions import confusions
from weightspace.files import write_whole
from weightspace.text import call_text, cell


class ClassTables(Callback):
    """Writes the confusion matrices of a classifier and, after a test, precision, recall and F1 of each class.

    The files are ``pictures/confusion_test.csv`` and ``test_classes.csv``, and the same for ``val`` (without scores)
    and ``internal_test``.

    Args:
        folder: folder of the run, for instance ``runs/x/0``.
        pictures: folder of its pictures.
    """

    __repr__ = call_text

    def __init__(self, folder: str | Path, pictures: str | Path) -> None:
        self.folder, self.pictures = Path(folder), Path(pictures)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the confusion matrix of validation."""
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, scores=False)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the confusion matrices and scores of the tests."""
        self._write(trainer, pl_module, scores=True)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule, scores: bool) -> None:
        matrices, names = confusions(trainer, pl_module)
        for split, matrix in matrices.items():
            _write_csv(self.pictures / f"confusion_{split}.csv", confusion_rows(matrix, names))
            if scores and split != "val":
                _write_csv(self.folder / f"{split}_classes.csv", class_rows(matrix, names))


def confusion_rows(matrix: Tensor, class_names: list[str]) -> list[list[Any]]:
    """Converts a confusion matrix (K, K) to rows with names: true classes in rows, predicted ones in columns."""
    rows = zip(class_names, matrix.tolist(), strict=True)
    return [["true class", *class_names], *([name, *counts] for name, counts in rows)]


def class_rows(matrix: Tensor, class_names: list[str]) -> list[list[Any]]:
    """Makes rows of number of networks, precision, recall and F1 of each class; undefined scores are empty.

    Args:
        matrix: (K, K) counts, true classes in rows.
        class_names: K names of classes.

    >>> class_rows(torch.tensor([[2, 0], [1, 1]]), ["cat", "dog"])[2]
    ['dog', 2, 1.0, 0.5, 0.6667]
    """
    matrix = matrix.cpu()
    classes = len(class_names)
    pairs = torch.cartesian_prod(torch.arange(classes), torch.arange(classes))
    true, predicted = pairs.repeat_interleave(matrix.flatten(), 0).T
    scores = [
        score(predicted, true, classes, average=None).tolist()
        for score in (multiclass_precision, multiclass_recall, multiclass_f1_score)
    ]
    rows: list[list[Any]] = [["class", "networks", "precision", "recall", "F1"]]
    given, found = matrix.sum(1).tolist(), matrix.sum(0).tolist()
    for name, count, predictions, *values in zip(class_names, given, found, *scores, strict=True):
        precision, recall, f1 = (round(value, 4) for value in values)
        there = count > 0
        rows.append([name, count, precision if predictions else "", recall if there else "", f1 if there else ""])
    return rows


def _write_csv(path: Path, rows: Iterable[list[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([cell(value) for value in row] for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.getvalue().encode())
