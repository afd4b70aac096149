"""Real silhouettes of animals, 28 x 28 grey, as the package animal-mnist has them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.sources.gz import gunzip
from weightspace.sources.image_source import ImageSource
from weightspace.sources.packaged import given, packaged
from weightspace.sources.plain_pickle import read_plain

IMAGES, LABELS = "animal_data_version_3.gz", "animal_label_version_3.gz"
FOLDER = "data/Animal_MNIST"
CLASS_NAMES = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
SIDE = 28
#: Bytes of each file, unpacked: the images have 7,840,164.
LIMIT = 20_000_000


def silhouettes(path: str | None = None) -> ImageSource:
    """Loads about 1,000 silhouettes of each of ten animals, white on black. No own test set.

    The files are pickled. Only arrays of whole numbers are read from them; whatever else a file asks for is refused,
    and nothing that it contains runs. Images that are equal to an earlier one are left out, so that none is in two
    splits.

    Args:
        path: the folder with ``animal_data_version_3.gz`` and ``animal_label_version_3.gz``. Without it, the files in
            the installed package animal-mnist, of which nothing is imported.

    Raises:
        SourceError: the package is not installed, or a file is missing, damaged, or holds anything else.
    """
    if path is None:
        files = [
            packaged("silhouettes", "animal_mnist", "animal-mnist", f"{FOLDER}/{name}") for name in (IMAGES, LABELS)
        ]
        arguments = {}
    else:
        files = given(path, IMAGES, LABELS)
        arguments = {"path": str(Path(path).expanduser().resolve())}
    pixels, classes = read_arrays(*files)
    kept, left_out = first_of_equals(pixels)
    return ImageSource(
        "silhouettes",
        pixels[kept][..., None],
        classes[kept],
        CLASS_NAMES,
        num_train=len(kept),
        arguments=arguments,
        left_out=left_out,
        license="MIT",
        attribution="Animal-MNIST by S. Mohammadi",
        stratified=True,
    )


def read_arrays(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads the gzipped pickles of an array of images and an array of their classes.

    Returns:
        (n, 28, 28) uint8 images, and (n,) int64 classes in 0..9.

    Raises:
        SourceError: a file is truncated, damaged, asks for anything else than arrays, or has others.
    """
    pixels, classes = _array(images), _array(labels)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE) or not len(pixels):
        raise SourceError(f"{images}: expected bytes (n, {SIDE}, {SIDE}), found {pixels.dtype} {pixels.shape}")
    if classes.shape != pixels.shape[:1]:
        raise SourceError(f"{labels}: expected {len(pixels)} classes, one per image, found {classes.shape}")
    if not 0 <= classes.min() <= classes.max() < len(CLASS_NAMES):
        raise SourceError(f"{labels}: classes should be in 0..9, found {classes.min()}..{classes.max()}")
    return pixels, classes.astype(np.int64)


def first_of_equals(pixels: np.ndarray) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    """Numbers of the images that are equal to none before them, and what is left out, with the reason."""
    first: dict[bytes, int] = {}
    for number, image in enumerate(pixels):
        first.setdefault(image.tobytes(), number)
    kept = np.array(sorted(first.values()))
    others = sorted(set(range(len(pixels))) - set(first.values()))
    return kept, tuple((f"image {n}", f"equal to an earlier one: image {first[pixels[n].tobytes()]}") for n in others)


def _array(file: Path) -> np.ndarray:
    try:
        content = read_plain(gunzip(file, LIMIT))
        if not isinstance(content, np.ndarray):
            raise ValueError("it holds no array")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SourceError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return content
