"""Pictures of runs: curves and confusion matrices."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.text import figure_text

#: The right half of a figure of curves shows the first of these scores that a run has logged in validation, else in
#: training.
SCORES = ("accuracy", "r2", "linear_accuracy", "knn_accuracy", "kendall", "mse")


def curves_figure(curves: dict[str, dict[str, list[tuple[int, float]]]]) -> Figure:
    """Draws losses (left) and scores (right) against the step; training is dashed, validation solid.

    Args:
        curves: label -> metric ("train/loss", "val/accuracy", ...) -> [(step, value), ...]; a single point is a dot.

    Raises:
        ZooError: there is nothing to draw.
    """
    logged = {name.partition("/")[2] for found in curves.values() for name in found}
    scores = [name for name in SCORES if name in logged] or sorted(logged - {"loss"})
    metrics = [name for name in ("loss", *scores[:1]) if name in logged]
    if not metrics:
        raise ZooError("no curves to draw: the runs have logged neither train/* nor val/*")
    figure = Figure(figsize=(5.5 * len(metrics), 4.2), layout="constrained")
    for axis, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for number, (label, found) in enumerate(curves.items()):
            named = False
            for split, style in (("val", "-"), ("train", "--")):
                points = found.get(f"{split}/{metric}")
                if points:
                    name = None if named else figure_text(label)
                    options: dict[str, Any] = {"color": f"C{number % 10}", "linewidth": 1.2, "label": name}
                    axis.plot(*zip(*points, strict=True), style, marker="." if len(points) == 1 else "", **options)
                    named = True
        axis.set_xlabel("step")
        axis.set_ylabel(f"{metric} (training dashed, validation solid)")
        axis.legend(fontsize=7)
    return figure


def confusion_figure(matrix: Tensor, class_names: list[str]) -> Figure:
    """Draws a confusion matrix (K, K) of counts: rows are true classes, shades are shares of a row, zeros are blank."""
    share = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    size = 0.45 * len(class_names) + 2
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    axis.imshow(share.numpy(force=True), cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(class_names))
    labels = [figure_text(name) for name in class_names]
    axis.set_xticks(ticks, labels, rotation=60, ha="right")
    axis.set_yticks(ticks, labels)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    # left out of the layout, since they are inside their cells
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "in_layout": False}
    for row, column in matrix.nonzero().tolist():
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, str(int(matrix[row, column])), color=colour, **style)
    return figure
