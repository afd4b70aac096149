"""Pictures of runs: drawn once, for the file and for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imread
from weightspace.figures.images import save_figure
from weightspace.figures.runs import confusion_figure


def test_the_pixels_of_the_file_are_returned(tmp_path: Path) -> None:
    figure = confusion_figure(torch.tensor([[3, 1], [0, 12]]), ["cat", "dog"])
    pixels = save_figure(figure, tmp_path / "new" / "a.png")
    assert np.array_equal(np.round(255 * imread(tmp_path / "new" / "a.png")), pixels)
    assert len(np.unique(pixels)) > 20


def test_a_confusion_matrix_tells_the_counts_and_leaves_the_others_blank() -> None:
    (axis,) = confusion_figure(torch.tensor([[3, 1], [0, 12]]), ["cat", "dog"]).axes
    assert {text.get_position(): text.get_text() for text in axis.texts} == {(0, 0): "3", (1, 0): "1", (1, 1): "12"}
