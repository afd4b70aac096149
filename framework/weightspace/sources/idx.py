"""The MNIST family's file format: a folder with four idx files, gzipped or not."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.files import open_regular, read_regular
from weightspace.files.limits import GZIP_RATIO, IDX_BYTES
from weightspace.sources.gz import gunzip, gunzip_start
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
    zipped = path.suffix == ".gz"
    try:
        head = gunzip_start(path, 20) if zipped else _start(path, 20)
        shape = _shape(path, head)
        expected = 4 + 4 * len(shape) + math.prod(shape)
        if expected > min(IDX_BYTES, path.stat().st_size * (GZIP_RATIO if zipped else 1)):
            raise SourceError(
                f"{path}: header says {shape}, that is {expected:,} bytes, which {path.stat().st_size:,} bytes "
                f"cannot hold, or more than {IDX_BYTES:,}"
            )
        content = gunzip(path, expected) if zipped else read_regular(path, expected)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) != expected:
        raise SourceError(f"{path}: header says {shape}, that is {expected:,} bytes, found {len(content):,}")
    return np.frombuffer(content, dtype=np.uint8, offset=expected - math.prod(shape)).reshape(shape)


def _start(path: Path, size: int) -> bytes:
    with open_regular(path) as file:
        return file.read(size)


def _shape(path: Path, head: bytes) -> tuple[int, ...]:
    """The array shape in the header of an idx file."""
    if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
        raise SourceError(f"{path}: expected an idx file of unsigned bytes (0, 0, 8, 1..4), found {head[:4]!r}")
    if len(head) < 4 + 4 * head[3]:
        raise SourceError(f"{path}: is truncated within its header")
    return tuple(int(n) for n in np.frombuffer(head[4 : 4 + 4 * head[3]], dtype=">u4"))
