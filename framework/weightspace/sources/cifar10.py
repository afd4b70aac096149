"""CIFAR-10: 50,000 + 10,000 real 32 x 32 colour images, in the release's python or binary format."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from weightspace.errors import SourceError
from weightspace.reading import reading
from weightspace.sources.image_source import ImageSource

SIDE = 32
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"


def cifar10(path: str) -> ImageSource:
    """Reads the unpacked release, ``cifar-10-batches-py`` or ``cifar-10-batches-bin``.

    The python format is pickled: only plain containers and arrays are read, whatever else a file asks for is refused.

    Args:
        path: the folder with data_batch_1 ... data_batch_5 and test_batch (perhaps ending in .bin), or the one above.

    Raises:
        SourceError: a file is missing, damaged, or holds anything else; the message names it.
    """
    folder = _folder(Path(path).expanduser())
    read = _read_binary if (folder / f"{TEST}.bin").is_file() else _read_python
    batches = [read(folder, name) for name in (*TRAINING, TEST)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    images = np.ascontiguousarray(images.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
    num_train = len(images) - len(batches[-1][0])
    return ImageSource("cifar10", images, labels, CLASS_NAMES, num_train, arguments={"path": str(folder.resolve())})


def _folder(path: Path) -> Path:
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        if (folder / TEST).is_file() or (folder / f"{TEST}.bin").is_file():
            return folder
    state = "has no such file" if path.is_dir() else "is not a folder"
    raise SourceError(f"expected {TEST} or {TEST}.bin of CIFAR-10 in {path}, which {state}")


def _read_binary(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3072) pixels and (n,) labels: each record is a label and 3 x 32 x 32 values."""
    path = folder / f"{name}.bin"
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    record = 1 + 3 * SIDE * SIDE
    if not len(content) or len(content) % record:
        raise SourceError(f"{path}: expected records of {record} bytes, found {len(content)} bytes")
    records = content.reshape(-1, record)
    return _checked(path, records[:, 1:], records[:, 0].astype(np.int64))


def _read_python(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    path = folder / name

    def refuse(error: Exception) -> SourceError:
        return SourceError(f"{path}: not a batch of CIFAR-10 ({type(error).__name__}: {error})")

    with reading(refuse):
        data = PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        pixels, labels = np.asarray(data[b"data"]), np.asarray(data[b"labels"], dtype=np.int64)
    return _checked(path, pixels, labels)


def _checked(path: Path, pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * SIDE * SIDE) or not len(labels):
        raise SourceError(
            f"{path}: expected (n, 3072) bytes and n labels, found {pixels.dtype} {pixels.shape} and {len(labels)}"
        )
    if not 0 <= labels.min() <= labels.max() < len(CLASS_NAMES):
        raise SourceError(f"{path}: labels should be in 0..9, found {labels.min()}..{labels.max()}")
    return pixels, labels


def _array(kind: Any, shape: tuple[int, ...], code: Any) -> np.ndarray:
    """What numpy's pickles begin with: an empty array, which its state then fills."""
    return np.empty(0, dtype=np.uint8)


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in old pickles."""
    return text.encode(encoding)


class PlainUnpickler(pickle.Unpickler):
    """Reads plain containers and numpy arrays of bytes; refuses every other class or function."""

    def find_class(self, module: str, name: str) -> Any:
        """The few names that a pickled array needs, each as something harmless."""
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): _array,
            ("numpy._core.multiarray", "_reconstruct"): _array,
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not plain data")
        return allowed[module, name]
