"""A picture of what a zoo holds."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from weightspace.text import figure_text
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.summary import layer_weights


def overview_figure(zoo: Zoo) -> Figure:
    """Networks per class and split (or the targets), histograms of each quality, and the weights of each layer."""
    named = zip(zoo.header.quality, zoo.quality.T, strict=True)
    qualities = [(name, values) for name, values in named if not _is_target(zoo, values)]
    figure = Figure(figsize=(4.2 * (2 + len(qualities)), 3.6), layout="constrained")
    axes = figure.subplots(1, 2 + len(qualities), squeeze=False)[0]
    _draw_targets(axes[0], zoo)
    for axis, (name, values) in zip(axes[1:], qualities, strict=False):
        axis.hist(values[values.isfinite()].numpy(), bins=40, color="C0")
        axis.set_xlabel({"psnr": "PSNR (dB)", "iou": "IoU"}.get(name, figure_text(name)))
        axis.set_ylabel("networks")
    _draw_weights(axes[-1], zoo)
    figure.suptitle(f"{figure_text(zoo.path.name)}: {len(zoo):,} networks {zoo.spec}", fontsize=10)
    return figure


def _is_target(zoo: Zoo, values: Tensor) -> bool:
    """Whether a column of quality is what the zoo's target is, which is drawn as such."""
    return zoo.class_names is None and any(torch.equal(values, target.to(values.dtype)) for target in zoo.targets.T)


def _draw_targets(axis: Axes, zoo: Zoo) -> None:
    present = [split for split in SPLITS if len(zoo.rows(split))]
    if zoo.class_names is None:
        for name, column in zip(zoo.header.target["names"], zoo.targets.T, strict=True):
            axis.hist(column.numpy(), bins=40, alpha=0.7, label=figure_text(name))
        axis.set_ylabel("networks")
        axis.set_xlabel("target")
    else:
        left = [0] * len(zoo.class_names)
        for split in present:
            counts = zoo.targets[zoo.rows(split)].bincount(minlength=len(left)).tolist()
            axis.barh(range(len(left)), counts, left=left, label=split)
            left = [a + b for a, b in zip(left, counts, strict=True)]
        axis.set_yticks(range(len(left)), [figure_text(name) for name in zoo.class_names])
        axis.invert_yaxis()
        axis.set_xlabel("networks")
    axis.legend(fontsize=7, ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.99))


def _draw_weights(axis: Axes, zoo: Zoo) -> None:
    rows = layer_weights(zoo)
    values = [row.values[:: max(1, len(row.values) // 20_000)].numpy() for row in rows]
    axis.boxplot(values, tick_labels=[row.name for row in rows], whis=(1, 99), showfliers=False)
    axis.set_ylabel("weights (quartiles, 1% to 99%)")
