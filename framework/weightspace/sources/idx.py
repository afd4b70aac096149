"""The MNIST family's file format: a folder with four idx files, gzipped or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.sources.image_source import ImageSource

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx(path: str, class_names: tuple[str, ...] | None = None, name: str = "idx") -> ImageSource:
    """Reads ``train-*`` and ``t10k-*`` images and labels (MNIST, Fashion-MNIST, KMNIST, ...).

    Args:
        path: the folder; each file may end in ``.gz``.
        class_names: default "0", "1", ...
        name: the name to keep in provenance.

    Raises:
        SourceError: a file is missing, truncated or of another format; the message names it.
    """
    folder = Path(path).expanduser()
    arrays = [read_idx(find_file(folder, file)) for file in FILES]
    for file, array, ndim in zip(FILES, arrays, (3, 1, 3, 1), strict=True):
        if array.ndim != ndim:
            raise SourceError(f"{folder / file}: expected {ndim} dimensions, found {array.ndim} {array.shape}")
    for file, pictures, classes in zip(FILES[0::2], arrays[0::2], arrays[1::2], strict=True):
        if len(pictures) != len(classes) or not len(pictures) or pictures.shape[1:] != arrays[0].shape[1:]:
            raise SourceError(
                f"{folder / file}: expected as many images as labels, of one size in both sets, "
                f"found {pictures.shape} and {classes.shape} (training images {arrays[0].shape})"
            )
    images, labels = np.concatenate(arrays[0::2]), np.concatenate(arrays[1::2]).astype(np.int64)
    names = class_names or tuple(str(i) for i in range(int(labels.max()) + 1))
    arguments = {"path": str(folder.resolve())}
    return ImageSource(name, images[..., None], labels, tuple(names), num_train=len(arrays[0]), arguments=arguments)


def find_file(folder: Path, name: str) -> Path:
    """``folder/name`` or ``folder/name.gz``.

    Raises:
        SourceError: neither exists.
    """
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    state = "has no such file" if folder.is_dir() else "is not a folder"
    raise SourceError(f"expected {name} or {name}.gz in {folder}, which {state}")


def read_idx(path: Path) -> np.ndarray:
    """Reads one idx file of unsigned bytes to an array of its own shape.

    Raises:
        SourceError: not an idx file of bytes, or its size is not what its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read ({error})") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise SourceError(f"{path}: expected an idx file of unsigned bytes (0, 0, 8, 1..4), found {content[:4]!r}")
    header = 4 + 4 * content[3]
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], dtype=">u4"))
    if len(content) != header + math.prod(shape):
        raise SourceError(
            f"{path}: header says {shape}, that is {header + math.prod(shape)} bytes, found {len(content)}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
