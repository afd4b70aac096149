"""Folders of images, read with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from weightspace.checks import check_choice, check_whole
from weightspace.errors import MissingExtraError, SourceError
from weightspace.files.class_folders import class_folders
from weightspace.files.names import in_order
from weightspace.sources.image_source import ImageSource
from weightspace.sources.picture import COLOURS, RESIZE, read_picture

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def images(path: str, size: int = 32, colour: str = "rgb", resize: str = "crop") -> ImageSource:
    """Reads ``<path>/<class>/*``, or ``<path>/train/<class>/*`` with own sets in ``val`` and ``test``.

    Other files are listed in ``left_out``, with the reason.

    Args:
        path: the folder; PNG, JPEG, BMP, GIF (first frame), WebP, TIFF, PPM or PGM files. Of 16 bits, the upper eight
            are kept.
        size: side of the square images, in pixels.
        colour: "rgb", or "grey" (ITU-R 601 luma); transparent parts become black.
        resize: how a picture that is no square becomes one: "crop" its middle, "stretch" it, or "pad" it with black.

    Raises:
        SourceError: no images, one that cannot be read, or a value out of range.
        MissingExtraError: Pillow is not installed.
    """
    try:
        import PIL
    except ImportError as error:
        raise MissingExtraError("pillow", "data", "the source 'images'") from error
    del PIL
    check_choice("source 'images': colour", colour, COLOURS, SourceError)
    check_choice("source 'images': resize", resize, RESIZE, SourceError)
    size = check_whole("source 'images': size", size, 2, 4096, SourceError)
    root = Path(path).expanduser()
    found = class_folders(root, ENDINGS, "images", SourceError)
    files = [item for pool in found.pools for item in pool]
    names = in_order(kind for kind, _ in files)
    pixels = np.stack([read_picture(root / file, size, colour, resize) for _, file in files])
    labels = np.array([names.index(kind) for kind, _ in files], dtype=np.int64)
    train, val, _ = map(len, found.pools)
    arguments: dict[str, Any] = {"path": str(root.resolve()), "size": size, "colour": colour, "resize": resize}
    left_out = tuple(found.left_out)
    return ImageSource("images", pixels, labels, names, train, arguments=arguments, num_val=val, left_out=left_out)
