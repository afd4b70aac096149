"""Reading a picture file as an image of eight bits."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weightspace.errors import SourceError
from weightspace.files import FileRefusedError, require_regular
from weightspace.files.limits import PIXELS
from weightspace.files.reading import reading

if TYPE_CHECKING:
    from PIL.Image import Image

#: What Pillow may take a file for, whatever its ending: other formats start programs, or state no range.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
COLOURS = {"grey": "L", "rgb": "RGB"}
RESIZE = ("crop", "stretch", "pad")
#: Numbers of two tags of TIFF: bits of a sample, and whether 0 is white.
BITS, PHOTOMETRIC = 258, 262


class PictureError(ValueError):
    """The content of a picture file is not usable."""


def read_picture(path: Path, size: int, colour: str, resize: str) -> np.ndarray:
    """Reads a picture as a square, see ``open_picture``, over black where it is transparent.

    Args:
        path: of a file in one of ``FORMATS``; of several frames, the first is taken.
        size: side of the result, in pixels.
        colour: "grey" or "rgb".
        resize: one of ``RESIZE``.

    Returns:
        (size, size, 1 or 3) uint8: 0 is black, 255 is white.

    Raises:
        SourceError: it cannot be read, has too many pixels, or numbers whose range is not stated.
    """
    from PIL import Image, ImageOps

    fit = {"crop": ImageOps.fit, "pad": ImageOps.pad, "stretch": lambda i, s, m: i.resize(s, m)}[resize]
    with _reading(path):
        whole = open_picture(path, colour, "black")
        return np.asarray(fit(whole, (size, size), Image.Resampling.LANCZOS)).reshape(size, size, -1)


def open_picture(path: Path, colour: str, background: str) -> Image:
    """Reads a picture in its own size: turned as its EXIF data say, over a background where it is transparent, of 16
    bits the upper eight.

    Args:
        path: of a file in one of ``FORMATS``; of several frames, the first is taken.
        colour: "grey" or "rgb".
        background: "black" or "white".

    Raises:
        SourceError: it cannot be read, has too many pixels, or numbers whose range is not stated.
    """
    from PIL import Image

    with _reading(path), warnings.catch_warnings():
        require_regular(path)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise Image.DecompressionBombError
            return _eight_bits(image, background).convert(COLOURS[colour])


def _reading(path: Path) -> AbstractContextManager[None]:
    """Turns whatever Pillow raises on a file into a SourceError that names it."""
    from PIL import Image

    def refuse(error: Exception) -> SourceError:
        if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
            return SourceError(f"{path}: has too many pixels (at most {PIXELS:,})")
        if isinstance(error, FileRefusedError):
            return SourceError(str(error))
        if isinstance(error, PictureError):
            return SourceError(f"{path}: {error}")
        return SourceError(f"{path}: cannot be read as an image ({type(error).__name__}: {error})")

    return reading(refuse, passed=(MemoryError,))


def _eight_bits(image: Image, background: str) -> Image:
    """The picture turned upright, in a mode of eight bits, over the background where it is transparent."""
    from PIL import Image, ImageOps

    white = _white(image)
    inverted = white and _tag(image, PHOTOMETRIC) == 0
    upright = ImageOps.exif_transpose(image)
    if white:
        values = np.asarray(upright).astype(np.int64).clip(0, white)
        if isinstance(clear := upright.info.get("transparency"), int):
            values[values == clear] = white if inverted == (background == "black") else 0
        return Image.fromarray(scaled(white - values if inverted else values, white))
    if "A" in upright.getbands() or "transparency" in upright.info:
        return Image.alpha_composite(Image.new("RGBA", upright.size, background), upright.convert("RGBA"))
    return upright


def scaled(values: np.ndarray, white: int) -> np.ndarray:
    """Whole numbers in 0..white as uint8 in 0..255, rounded.

    >>> scaled(np.array([0, 128, 129, 65534, 65535]), 65535).tolist()
    [0, 0, 1, 255, 255]
    """
    return ((values * 255 + white // 2) // white).astype(np.uint8)


def _white(image: Image) -> int | None:
    """The value of white in a picture of more than eight bits; None for pictures of at most eight."""
    if image.mode.startswith("I;16"):
        return (1 << int(_tag(image, BITS) or 16)) - 1
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # read so, or scaled to 16 bits, by Pillow
        return 65535
    if image.mode in ("I", "F"):
        kind = "floating-point" if image.mode == "F" else "32-bit or signed"
        raise PictureError(
            f"has {kind} numbers, and does not state which are black and white: rescale it to 8 or 16 bits"
        )
    return None


def _tag(image: Image, number: int) -> int | None:
    """A number from a TIFF file's header, or None."""
    value = getattr(image, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) else value
