"""Scores of each class from a confusion matrix."""

from __future__ import annotations

import pytest
import torch
from weightspace.callbacks.class_tables import class_rows
from weightspace.tasks.balanced_accuracy import BalancedAccuracy


def test_a_class_without_networks_has_no_recall_and_does_not_count() -> None:
    true, predicted = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 0, 1, 2, 2])
    metric = BalancedAccuracy(4)
    metric.update(predicted, true)
    assert float(metric.compute()) == pytest.approx((1 + 1 / 3) / 2)
    matrix = torch.tensor([[2, 0, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert class_rows(matrix, ["a", "b", "c", "d"])[1:] == [
        ["a", 2, 1.0, 1.0, 1.0],
        ["b", 3, 1.0, 0.3333, 0.5],
        ["c", 0, 0.0, "", ""],
        ["d", 0, "", "", ""],
    ]
