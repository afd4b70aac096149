"""Reading a drawing on a transparent page as a square image over white."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.sources.picture import open_picture


def read_drawing(path: Path, size: int) -> np.ndarray:
    """Reads a drawing over white, cut to what it shows and padded to a square.

    Args:
        path: of the file.
        size: side of the result, in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        SourceError: it cannot be read, is empty, or shows less than ``size`` pixels in both directions.
    """
    from PIL import Image, ImageOps

    page = open_picture(path, "rgb", "white")
    box = ImageOps.invert(page).getbbox()
    if box is None:
        raise SourceError(f"{path}: is empty, or white on white")
    drawn = page.crop(box)
    if max(drawn.size) < size:
        raise SourceError(f"{path}: is too small for {size} pixels: what it shows has {drawn.width} x {drawn.height}")
    width, height = (max(1, round(side * size / max(drawn.size))) for side in drawn.size)
    square = Image.new("RGB", (size, size), "white")
    small = drawn.resize((width, height), Image.Resampling.LANCZOS)
    square.paste(small, ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)
