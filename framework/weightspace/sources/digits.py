"""scikit-learn's handwritten digits: 1,797 real 8 x 8 grey images, in the package itself."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from weightspace.errors import MissingExtraError
from weightspace.sources.gz import gunzip
from weightspace.sources.image_source import ImageSource

#: Place of the table in the package: 64 pixels and the class in each row.
FILE = Path("datasets", "data", "digits.csv.gz")
LIMIT = 1_000_000


def digits() -> ImageSource:
    """Loads the digits (UCI optical recognition of handwritten digits, test part). No own test set.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise MissingExtraError("scikit-learn", "data", "the source 'digits'")
    pixels, classes = read_digits(Path(package.origin).parent / FILE)
    names = tuple(str(name) for name in range(10))
    return ImageSource("digits", pixels[..., None], classes, names, num_train=len(pixels), levels=16)


def read_digits(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads the table of digits, or asks scikit-learn for it if a version keeps it elsewhere.

    The file is read without scikit-learn, since importing ``sklearn.datasets`` takes nearly as long as importing torch.

    Args:
        file: ``digits.csv.gz``.

    Returns:
        (1797, 8, 8) uint8 images in 0..16, and (1797,) int64 classes.
    """
    if file.is_file():
        table = np.loadtxt(io.BytesIO(gunzip(file, LIMIT)), delimiter=",", dtype=np.int64)
        return table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images.astype(np.uint8), data.target.astype(np.int64)
