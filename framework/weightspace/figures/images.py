"""Pictures: originals beside decoded networks, batches before and after augmentation, confusion matrices."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray
from torch import Tensor

from weightspace.augment import Augmentation, AugmentationChain
from weightspace.batch import WeightBatch, soft_targets
from weightspace.errors import ZooError
from weightspace.figures.solids import decoded_solids, solid_grid, true_solids
from weightspace.files import write_whole
from weightspace.fitting.origin import value_range_of
from weightspace.fitting.quality import decode
from weightspace.sources.base import Objects
from weightspace.sources.image_source import ImageSource, grid
from weightspace.text import figure_text, shown
from weightspace.zoo import Zoo

#: Pixels along a picture of a network whose object's size is not known.
SIDE = 64


def image_grid(rows: dict[str, Tensor], captions: dict[str, list[str]] | None = None) -> Figure:
    """Draws rows of images, each row with its name at the left.

    Args:
        rows: name -> (n, H, W) or (n, H, W, 3) in [0, 1]; values outside are clipped.
        captions: row name -> a caption for each image.
    """
    count = max(len(images) for images in rows.values())
    figure = Figure(figsize=(1.1 * count + 0.9, 1.3 * len(rows) + 0.2), layout="constrained")
    axes = figure.subplots(len(rows), count, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_frame_on(False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(figure_text(name))
        for column, image in enumerate(images.clamp(0, 1)):
            row[column].imshow(image.numpy(force=True), cmap="gray", vmin=0, vmax=1)
            if captions and name in captions:
                caption = captions[name][column].split("\n")
                row[column].set_title("\n".join(map(figure_text, caption)), fontsize=8 if len(caption) < 2 else 7)
    return figure


def zoo_figure(zoo: Zoo, source: Objects | None, count: int, split: str) -> Figure:
    """The first networks of a split: the original above the decoded network, with its class and PSNR; or, without a
    source, the networks alone.

    Raises:
        ZooError: the zoo has no networks in this split, or networks that cannot be drawn.
    """
    if count < 1:
        raise ZooError(f"--count must be at least 1, found {count}")
    if split not in ("train", "val", "test", "internal") or not len(zoo.rows(split)):
        raise ZooError(f"{zoo.path} has no networks in the split {split!r}")
    rows = zoo.rows(split, first_view_only=True)[:count]
    batch, low_high = zoo.batch(rows), value_range_of(zoo)
    names = [shown(zoo.class_names[int(t)]) for t in zoo.targets[rows]] if zoo.class_names else [""] * len(rows)
    quality = [
        "\n".join(_quality(n, q) for n, q in zip(zoo.header.quality, row, strict=True)) for row in zoo.quality[rows]
    ]
    captions = {"object": names, "network": quality if source else names}
    if batch.spec.in_dim == 3:
        solids = {} if source is None else {"object": true_solids(source, zoo.objects[rows])}
        return solid_grid({**solids, "network": decoded_solids(batch, low_high)}, captions)
    if batch.spec.in_dim != 2:
        raise ZooError(f"{zoo.path}: networks of {batch.spec.in_dim} inputs cannot be drawn, only of 2 or 3")
    if not isinstance(source, ImageSource):
        return image_grid({"network": decoded_images(batch, SIDE, low_high).movedim(1, 3).squeeze(3)}, captions)
    values, shape = source.values(zoo.objects[rows]), source.image_shape
    decoded = decode(batch, source.coordinates(), low_high)
    return image_grid({"object": _images(values, shape), "network": _images(decoded, shape)}, captions)


def _quality(name: str, value: Tensor) -> str:
    return f"{float(value):.1f} dB" if name == "psnr" else f"{name.replace('iou', 'IoU')} {float(value):.2f}"


def chain_figure(
    before: WeightBatch,
    after: WeightBatch,
    side: int,
    value_range: tuple[float, float],
    class_names: list[str] | None = None,
) -> Figure:
    """Decoded 2-D networks of a batch before and after the augmentation chain, on a square of side x side pixels, with
    their classes, mixed ones too.
    """
    coordinates = grid(side, side)
    shape = (side, side, before.spec.out_dim)
    return image_grid(
        {
            "before": _images(decode(before.to("cpu"), coordinates, value_range), shape),
            "after": _images(decode(after.to("cpu"), coordinates, value_range), shape),
        },
        {"before": _target_captions(before, class_names), "after": _target_captions(after, class_names)},
    )


def decoded_images(batch: WeightBatch, side: int, value_range: tuple[float, float]) -> Tensor:
    """(B, channels, side, side) pictures in [0, 1] of 2-D networks, 1 or 3 channels."""
    values = decode(batch.to("cpu"), grid(side, side), value_range).clamp(0, 1)
    images = values.reshape(len(batch), side, side, batch.spec.out_dim).movedim(3, 1)
    return images if batch.spec.out_dim in (1, 3) else images[:, :1]


def augmentation_figure(
    augmentation: Augmentation,
    batch: WeightBatch,
    class_names: list[str] | None,
    value_range: tuple[float, float],
    draws: int = 3,
    side: int = 28,
    seed: int = 0,
) -> Figure:
    """Decoded 2-D networks before an augmentation, and after each of several draws.

    Captions tell targets that were mixed, and, where the function is kept, the largest difference of a pixel; there the
    second layer's weights are drawn too, before and after the first draw, as nothing else would be seen to change.
    """
    chain = AugmentationChain([augmentation], seed)
    after = {f"draw {draw + 1}": chain(batch, draw=draw) for draw in range(draws)}
    coordinates, shape = grid(side, side), (side, side, batch.spec.out_dim)
    decoded = {name: decode(moved, coordinates, value_range) for name, moved in {"before": batch, **after}.items()}
    rows = {name: _images(values, shape) for name, values in decoded.items()}
    captions = {"before": _target_captions(batch, class_names)}
    for name, moved in after.items():
        difference = (decoded[name] - decoded["before"]).abs().amax((1, 2))
        same = (
            [f"+-{d:.0e}" if d else "same" for d in difference.tolist()] if augmentation.exact == "function" else None
        )
        captions[name] = _target_captions(moved, class_names) if augmentation.uses_labels else same or [""] * len(batch)
    if augmentation.exact == "function" and not augmentation.uses_labels:
        largest = batch.weights[1].abs().amax((1, 2), keepdim=True)
        for name, moved in {"before": batch, "draw 1": after["draw 1"]}.items():
            rows[f"W2 {name}"] = (moved.weights[1] / largest + 1) / 2
    return image_grid(rows, captions)


def _target_captions(batch: WeightBatch, class_names: list[str] | None) -> list[str]:
    """The class of each network, or its two likeliest classes with their shares."""
    if batch.targets is None or class_names is None:
        return [""] * len(batch)
    captions = []
    for row in soft_targets(batch):
        share, which = row.topk(min(2, len(row)))
        named = [
            f"{s:.0%} {shown(class_names[k])}"
            for s, k in zip(share.tolist(), which.tolist(), strict=True)
            if s >= 0.005
        ]
        rest = row.sort(descending=True).values[1:]
        if len(rest) > 1 and rest[0] >= 0.005 and rest[0] - rest[-1] < 1e-6:
            named[1:] = [f"{float(rest[0]):.0%} each other"]
        captions.append(named[0].removeprefix("100% ") if share[0] > 0.995 else "\n".join(named))
    return captions


#: The right half of a picture of curves shows the first of these that a run has validated, or trained on.
SCORES = ("accuracy", "r2", "linear_accuracy", "knn_accuracy", "kendall", "mse")


def curves_figure(curves: dict[str, dict[str, list[tuple[int, float]]]]) -> Figure:
    """Losses at the left and scores at the right, against the step; training dashed, validation solid.

    Args:
        curves: label -> metric ("train/loss", "val/accuracy", ...) -> [(step, value), ...]; one point is a dot.

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
    """A confusion matrix (K, K) of counts, true classes in rows, shaded by the share of the row; zeros are blank."""
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
    # not in the layout, as they lie in their cells
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "in_layout": False}
    for row, column in matrix.nonzero().tolist():
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, str(int(matrix[row, column])), color=colour, **style)
    return figure


def save_figure(figure: Figure, path: str | Path) -> NDArray[np.uint8]:
    """Draws a figure, writes it as a PNG, and returns its pixels (H, W, 4) with alpha; makes the folder.

    Raises:
        ZooError: the name does not end in .png, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix != ".png":
        raise ZooError(f"pictures are PNG files: expected a name that ends in .png, found {str(path)!r}")
    figure.set_dpi(120)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():  # names in scripts that the font has not
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    content = io.BytesIO()
    imsave(content, pixels, format="png", dpi=120)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content.getbuffer())
    except OSError as error:
        raise ZooError(f"the picture {target} cannot be written: {error.strerror or error}") from error
    return pixels


def _images(values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(n, H * W, C) -> (n, H, W), or (n, H, W, 3) for colour."""
    images = values.reshape(len(values), *shape)
    return images.squeeze(3) if shape[2] == 1 else images
