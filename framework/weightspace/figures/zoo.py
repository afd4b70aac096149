"""Pictures of a zoo: networks beside their objects, and a summary of its contents."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.errors import ZooError
from weightspace.figures.images import SIDE, as_images, decoded_images, image_grid
from weightspace.figures.solids import decoded_solids, solid_grid
from weightspace.figures.true_solids import true_solids
from weightspace.network import decode
from weightspace.sources.base import Objects
from weightspace.sources.image_source import ImageSource
from weightspace.text import figure_text, shown
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.summary import layer_weights


def zoo_figure(zoo: Zoo, source: Objects | None, count: int, split: str) -> Figure:
    """Draws the first networks of a split: each original above its decoded network, with class and quality; without a
    source, only the networks.

    Raises:
        ZooError: the zoo has no networks in this split, or networks that cannot be drawn.
    """
    check_whole("count", count, low=1, error=ZooError)
    if not len(zoo.rows(split)):
        raise ZooError(f"{zoo.path} has no networks in the split {split!r}")
    rows = zoo.rows(split, first_view_only=True)[:count]
    batch, low_high = zoo.batch(rows), zoo.value_range
    names = [shown(zoo.class_names[int(t)]) for t in zoo.targets[rows]] if zoo.class_names else [""] * len(rows)
    quality = [
        "\n".join(_quality(n, q) for n, q in zip(zoo.header.quality, row, strict=True)) for row in zoo.quality[rows]
    ]
    captions = {"object": names, "network": quality if source else names}
    if batch.spec.coordinates == 3:
        solids = {} if source is None else {"object": true_solids(source, zoo.objects[rows])}
        return solid_grid({**solids, "network": decoded_solids(batch, low_high)}, captions)
    if batch.spec.coordinates != 2:
        raise ZooError(f"{zoo.path}: networks {batch.spec} cannot be drawn, only those of 2 or 3 coordinates")
    if not isinstance(source, ImageSource):
        return image_grid({"network": decoded_images(batch, SIDE, low_high).movedim(1, 3).squeeze(3)}, captions)
    values, shape = source.values(zoo.objects[rows]), source.image_shape
    decoded = decode(batch, source.coordinates(), low_high)
    return image_grid({"object": as_images(values, shape), "network": as_images(decoded, shape)}, captions)


def _quality(name: str, value: Tensor) -> str:
    return f"{float(value):.1f} dB" if name == "psnr" else f"{name.replace('iou', 'IoU')} {float(value):.2f}"


def overview_figure(zoo: Zoo) -> Figure:
    """Draws networks per class and split (or the targets), histograms of each quality, and the weights per layer."""
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
    """Whether a column of quality equals the zoo's target, which is already drawn."""
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
