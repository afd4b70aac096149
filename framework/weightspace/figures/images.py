"""Decoding 2-D networks into images, drawing grids of images, and saving figures as PNG files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.network import decode, grid
from weightspace.text import figure_text

#: Side in pixels of a decoded network if the size of its object is unknown.
SIDE = 64
#: Pixels per inch of a figure.
DPI = 120


def image_grid(rows: dict[str, Tensor], captions: dict[str, list[str]] | None = None) -> Figure:
    """Draws rows of images, with the name of each row at its left.

    Args:
        rows: name -> (n, H, W) or (n, H, W, 3) in [0, 1]; values outside are clipped.
        captions: row name -> one caption per image.
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


def decoded_images(batch: WeightBatch, side: int, value_range: tuple[float, float]) -> Tensor:
    """Decodes 2-D networks into (B, channels, side, side) images in [0, 1] of 1 or 3 channels."""
    values = decode(batch.to("cpu"), grid(side, side), value_range).clamp(0, 1)
    images = values.reshape(len(batch), side, side, batch.spec.out_dim).movedim(3, 1)
    return images if batch.spec.out_dim in (1, 3) else images[:, :1]


def drawn(figure: Figure) -> NDArray[np.uint8]:
    """Renders a figure and returns its RGBA pixels (H, W, 4)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():  # names may be in scripts that the font does not cover
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encodes RGBA pixels (H, W, 4) as the bytes of a PNG file."""
    content = io.BytesIO()
    imsave(content, pixels, format="png", dpi=DPI)
    return content.getvalue()


def save_figure(figure: Figure, path: str | Path) -> NDArray[np.uint8]:
    """Saves a figure as a PNG file, creates its folder if needed, and returns its RGBA pixels (H, W, 4).

    Raises:
        ZooError: the name does not end in .png, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix != ".png":
        raise ZooError(f"pictures are PNG files: expected a name that ends in .png, found {str(path)!r}")
    pixels = drawn(figure)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, png(pixels))
    except OSError as error:
        raise ZooError(f"the picture {target} cannot be written: {error.strerror or error}") from error
    return pixels


def as_images(values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Reshapes (n, H * W, C) values to images: (n, H, W), or (n, H, W, 3) for colour; of 2, 4 or more, the first."""
    images = values.reshape(len(values), *shape)
    return images if shape[2] == 3 else images[..., 0]
