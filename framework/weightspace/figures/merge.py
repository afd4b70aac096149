"""A picture of what networks are good for on the line between two of them."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from weightspace.text import figure_text


def line_figure(measured: dict[str, Tensor], quantity: str) -> Figure:
    """Draws the mean over pairs of networks at each point of the line, one curve for each alignment.

    Args:
        measured: by name of the alignment, (steps, B).
        quantity: what was measured, for the axis.
    """
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    draw_line(figure.subplots(), measured, quantity)
    return figure


def draw_line(axis: Axes, measured: dict[str, Tensor], quantity: str) -> None:
    """Draws the curves of ``line_figure`` into axes."""
    for name, values in measured.items():
        axis.plot(torch.linspace(0, 1, len(values)).tolist(), values.mean(1).tolist(), marker="o", ms=3, label=name)
    axis.set_xlabel("weight of the second network")
    axis.set_ylabel(figure_text(quantity))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, frameon=False)
