"""Folders of images, read with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from weightspace.errors import MissingExtraError, SourceError
from weightspace.names import in_order
from weightspace.sources.image_source import ImageSource
from weightspace.sources.picture import COLOURS, RESIZE, read_picture

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def images(path: str, size: int = 32, colour: str = "rgb", resize: str = "crop") -> ImageSource:
    """Reads ``<path>/<class>/*`` (no own test set), or ``<path>/train/<class>/*`` and ``<path>/test/<class>/*``.

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
    for name, value, known in (("colour", colour, COLOURS), ("resize", resize, RESIZE)):
        if value not in known:
            raise SourceError(f"source 'images': {name} must be one of {', '.join(known)}, found {value!r}")
    if type(size) is not int or not 2 <= size <= 4096:
        raise SourceError(f"source 'images': size must be a whole number in 2..4096, found {size!r}")
    root = Path(path).expanduser()
    folders = [root / "train", root / "test"] if (root / "train").is_dir() and (root / "test").is_dir() else [root]
    parts = [_files(folder) for folder in folders]
    names = in_order(file.parent.name for part in parts for file in part)
    files = [file for part in parts for file in part]
    pixels = np.stack([read_picture(file, size, colour, resize) for file in files])
    labels = np.array([names.index(file.parent.name) for file in files], dtype=np.int64)
    arguments: dict[str, Any] = {"path": str(root.resolve()), "size": size, "colour": colour, "resize": resize}
    return ImageSource("images", pixels, labels, names, num_train=len(parts[0]), arguments=arguments)


def _files(folder: Path) -> list[Path]:
    """All images of the folder's classes, in a fixed order."""
    found = sorted(file for file in folder.glob("*/*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not found:
        state = "has none" if folder.is_dir() else "is not a folder"
        raise SourceError(
            f"expected images in {folder}/<class>/, which {state} (known endings: {' '.join(sorted(ENDINGS))})"
        )
    return found
