"""Reading the releases of CIFAR-10 and CIFAR-100, which share their formats."""

from __future__ import annotations

import io
import tarfile
import zlib
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from weightspace.errors import SourceError
from weightspace.files import read_regular
from weightspace.files.limits import ARCHIVE_BYTES, BATCH_BYTES
from weightspace.sources.gz import gunzip
from weightspace.sources.image_source import ImageSource
from weightspace.sources.plain_pickle import read_plain

SIDE = 32
PIXELS = 3 * SIDE * SIDE
#: Files of an archive that are looked at.
MEMBERS = 100
#: (n, 3072) pixels and (n,) labels.
Batch = tuple[np.ndarray, np.ndarray]


class Release:
    """The files of a release, from a folder or an archive.

    Args:
        path: the archive, the folder, or the one above it.
        file: one that must exist, with or without the ending .bin.
        folders: names of its folder, in the python and the binary format.
        name: of the data set.

    Raises:
        SourceError: there is no such file, or the archive cannot be read.
    """

    def __init__(self, path: str, file: str, folders: tuple[str, ...], name: str) -> None:
        given = Path(path).expanduser()
        self._members: dict[str, bytes] | None = None
        if given.is_file():
            self._folder, self._members = given, _unpacked(given)
            self.binary = f"{file}.bin" in self._members
            if not self.binary and file not in self._members:
                raise SourceError(f"expected {file} or {file}.bin of {name} in {given}, which has no such file")
        else:
            places = [given, *(given / folder for folder in folders)]
            found = [place for place in places if (place / file).is_file() or (place / f"{file}.bin").is_file()]
            if not found:
                state = "has no such file" if given.is_dir() else "is neither a folder nor an archive"
                raise SourceError(f"expected {file} or {file}.bin of {name} in {given}, which {state}")
            self._folder = found[0]
            self.binary = (self._folder / f"{file}.bin").is_file()
        self.place = str(self._folder.resolve())

    def where(self, name: str) -> Path:
        """Path of a file of the release, for messages."""
        return self._folder / name

    def read(self, name: str) -> bytes:
        """Reads the content of a file.

        Raises:
            SourceError: it is missing, or too large.
        """
        path = self.where(name)
        if self._members is not None:
            if name not in self._members:
                raise SourceError(f"{path}: is not in the archive")
            return self._members[name]
        try:
            return read_regular(path, BATCH_BYTES)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error


def _unpacked(path: Path) -> dict[str, bytes]:
    """The files of an archive by their names, without their folder."""
    try:
        content = gunzip(path, ARCHIVE_BYTES)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            members = [member for member in islice(archive, MEMBERS + 1) if member.isfile()]
            if len(members) > MEMBERS:
                raise SourceError(f"{path}: holds more than {MEMBERS} files, as no release does")
            if sum(member.size for member in members) > len(content):
                raise SourceError(f"{path}: cannot be read (its files are larger than it)")
            return {Path(m.name).name: file.read() for m in members if (file := archive.extractfile(m))}
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{path}: cannot be read as a .tar.gz archive ({reason})") from error


def read_python(release: Release, name: str, labels: str, classes: int) -> Batch:
    """Reads a pickled batch, whose labels have the key ``labels`` and the values 0 to ``classes`` - 1."""
    data = _plain(release, name)
    try:
        pixels, targets = data["data"], whole_numbers(data[labels])
        if not isinstance(pixels, np.ndarray):
            raise ValueError("its data should be an array")
    except (KeyError, ValueError) as error:
        raise SourceError(f"{release.where(name)}: not a batch of CIFAR ({type(error).__name__}: {error})") from error
    return _checked(release.where(name), pixels, targets, classes)


def read_binary(release: Release, name: str, labels: int, column: int, classes: int) -> Batch:
    """A batch of records: labels, then 3 x 32 x 32 values.

    Args:
        release: where it is.
        name: without .bin.
        labels: how many a record has.
        column: the one that is taken.
        classes: how many there are.
    """
    path = release.where(f"{name}.bin")
    content = np.frombuffer(release.read(f"{name}.bin"), dtype=np.uint8)
    record = labels + PIXELS
    if not len(content) or len(content) % record:
        raise SourceError(f"{path}: expected records of {record} bytes, found {len(content)} bytes")
    records = content.reshape(-1, record)
    return _checked(path, records[:, labels:], records[:, column].astype(np.int64), classes)


def class_names(release: Release, name: str, count: int) -> tuple[str, ...]:
    """Names of classes from the release's own list: one of ``meta``, or lines of a text file."""
    if release.binary:
        where, found = release.where(f"{name}.txt"), release.read(f"{name}.txt").decode("utf-8", "replace").split()
    else:
        where = release.where("meta")
        listed = _plain(release, "meta").get(name)
        texts = [text(item) for item in listed] if isinstance(listed, list) else []
        found = [item for item in texts if item is not None]
    if len(set(found)) != count or len(found) != count:
        raise SourceError(f"{where}: expected {count} different names under {name}, found {len(set(found))}")
    return tuple(found)


def source(name: str, batches: list[Batch], names: tuple[str, ...], arguments: dict[str, Any]) -> ImageSource:
    """Concatenates all batches to one source; the last batch is the test set."""
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    images = np.ascontiguousarray(images.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
    return ImageSource(name, images, labels, names, len(images) - len(batches[-1][0]), arguments=arguments)


def _plain(release: Release, name: str) -> dict[str, Any]:
    """A pickled dictionary with its keys as text, however they were written."""
    path, content = release.where(name), release.read(name)
    try:
        data = read_plain(content)
        if not isinstance(data, dict):
            raise ValueError("it holds no dict")
    except ValueError as error:
        raise SourceError(f"{path}: not a file of CIFAR ({error})") from error
    return {key: value for word, value in data.items() if (key := text(word)) is not None}


def text(word: Any) -> str | None:
    """Text that was written as text or as bytes; None: something else."""
    if isinstance(word, bytes):
        return word.decode("utf-8", "replace")
    return word if isinstance(word, str) else None


def whole_numbers(values: Any) -> np.ndarray:
    """Converts a list or an array of whole numbers to (n,) int64.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return values.astype(np.int64)
    if isinstance(values, list) and all(type(value) is int and abs(value) < 2**31 for value in values):
        return np.array(values, dtype=np.int64)
    raise ValueError("labels should be a list of whole numbers")


def _checked(path: Path, pixels: np.ndarray, labels: np.ndarray, classes: int) -> Batch:
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS) or not len(labels):
        raise SourceError(
            f"{path}: expected (n, {PIXELS}) bytes and n labels, found {pixels.dtype} {pixels.shape} and {len(labels)}"
        )
    if not 0 <= labels.min() <= labels.max() < classes:
        raise SourceError(f"{path}: labels should be in 0..{classes - 1}, found {labels.min()}..{labels.max()}")
    return pixels, labels
