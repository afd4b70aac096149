"""Atomic writing, and reading that accepts regular files only."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from weightspace.errors import WeightspaceError

#: Bytes of a JSON file of ours, at most.
JSON_LIMIT = 64_000_000


#: What the system says where no more can be written: no space, over a quota, or over a limit of the process.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEFTOVER = re.compile(r"\..*\.\d+\.tmp")
#: Folders, as absolute paths, in which this process has looked for leftovers.
_tidied: set[str] = set()


class DiskFullError(WeightspaceError, OSError):
    """A file could not be written because the disk is full; the message names it and the bytes needed.

    Args:
        path: the file.
        needed: bytes, if known.
        number: the system's error number, one of ``FULL``.
    """

    def __init__(self, path: Path, needed: int | None, number: int | None) -> None:
        needs = "" if needed is None else f"{needed:,} bytes are needed, "
        try:
            free = f"{shutil.disk_usage(path.parent).free:,} are free"
        except OSError:
            free = "how many are free is not known"
        reason = "the disk is full" if number == errno.ENOSPC else "a quota or a limit of file sizes is reached"
        super().__init__(number, f"{reason}: {needs}{free}", str(path))

    def __str__(self) -> str:
        return f"{self.filename} cannot be written: {self.strerror}"


@contextmanager
def whole_file(path: Path, needed: int | None = None) -> Iterator[BinaryIO]:
    """Opens a temporary file beside ``path``, which is flushed to disk and renamed to ``path`` at the end.

    A process that is killed leaves at most a file ``.<name>.<pid>.tmp``, which the next writer in the folder removes.

    Args:
        path: the file.
        needed: its size in bytes, for the error message.

    Raises:
        DiskFullError: the disk is full; no partial file remains.
        OSError: the folder cannot be written; no partial file remains.
    """
    _tidy(path.parent)
    temporary = path.with_name(f".{path.name.encode()[:200].decode(errors='ignore')}.{os.getpid()}.tmp")
    try:
        with space_for(path, needed), _replaced(path, temporary) as file:
            yield file
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def space_for(path: Path, needed: int | None) -> Iterator[None]:
    """Turns the system's error about a full disk into one that names the file.

    Args:
        path: the file that the block writes.
        needed: bytes, if known.

    Raises:
        DiskFullError: the disk is full.
        OSError: anything else.
    """
    try:
        yield
    except DiskFullError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(path, needed, error.errno) from error
        raise


def _tidy(folder: Path) -> None:
    """Removes temporary files of processes that have ended, once per folder."""
    place = os.path.abspath(folder)
    if place in _tidied:
        return
    _tidied.add(place)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if _LEFTOVER.fullmatch(name) and not (folder / name).is_dir():
            remove_leftover(folder / name)


def hold(descriptor: int) -> None:
    """Marks an open temporary file or folder as in use, until it is closed or its process ends.

    The mark is a lock of the operating system. Other machines see it on network file systems with lock support; without
    lock support nothing is ever treated as a leftover.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def remove_leftover(path: Path) -> None:
    """Removes a temporary file or folder, unless it is in use (see ``hold``) or that cannot be determined."""
    folder = path.is_dir()
    try:
        descriptor = os.open(path, (os.O_RDONLY if folder else os.O_RDWR | os.O_NONBLOCK) | os.O_NOFOLLOW)
    except OSError:  # it has gone, is a link, or another user's
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.lstat(), os.fstat(descriptor)):
            shutil.rmtree(path) if folder else path.unlink()
    except OSError:  # it is held, or there are no locks
        pass
    finally:
        os.close(descriptor)


def _open_held(temporary: Path) -> BinaryIO:
    while True:
        file = temporary.open("wb")
        hold(file.fileno())
        with suppress(FileNotFoundError):  # another process may have taken it for a leftover, before it was held
            if os.path.samestat(temporary.stat(), os.fstat(file.fileno())):
                return file
        file.close()


@contextmanager
def _replaced(path: Path, temporary: Path) -> Iterator[BinaryIO]:
    with _open_held(temporary) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file atomically, see ``whole_file``."""
    with whole_file(path, len(content)) as file:
        file.write(content)


class FileRefusedError(OSError):
    """A path that is not a regular file, or a file that is too large: ``strerror`` is the reason."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def require_regular(path: Path) -> int:
    """Size of a regular file in bytes; a check for readers that open a file by name. Links are followed.

    Raises:
        FileRefusedError: it is a folder, a fifo, a socket or a device.
        OSError: there is no such file.
    """
    return _regular(path, path.stat())


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading, and never blocks on anything else. Links are followed.

    Raises:
        FileRefusedError: it is a folder, a fifo, a socket or a device.
        OSError: it cannot be opened.
    """
    require_regular(path)
    # what has become a fifo since does not block here, and is refused below
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """Reads a regular file of at most ``limit`` bytes; nothing is read of a larger one.

    Args:
        path: links are followed.
        limit: in bytes, > 0.

    Raises:
        FileRefusedError: it is not a regular file, or too large; the message says what was found.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise FileRefusedError(errno.EFBIG, f"{size:,} bytes are too many (at most {limit:,})", str(path))
        content = file.read(size)
        if file.read(1):  # files of /proc are larger than they say
            raise FileRefusedError(errno.EINVAL, f"holds more than the {size:,} bytes that it claims", str(path))
        return content


def _regular(path: Path, state: os.stat_result) -> int:
    """Size of a regular file; raises ``FileRefusedError`` for anything else."""
    if stat.S_ISREG(state.st_mode):
        return state.st_size
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
    kind = kinds.get(stat.S_IFMT(state.st_mode), "device")
    raise FileRefusedError(errno.EINVAL, f"is a {kind}, not a regular file", str(path))


def read_json(path: Path, error: type[WeightspaceError], what: str, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """Reads a file that should contain one JSON object.

    Args:
        path: a regular file.
        error: the error type to raise.
        what: what the file is, with its article: "the metrics of a run".
        limit: largest size in bytes.

    Raises:
        WeightspaceError: (the given type) the file is missing, not a regular file, too large, damaged, nested too deep,
            or contains something else.
    """
    try:
        content = read_regular(path, limit)
    except OSError as cause:
        raise error(f"{path} should be {what}, and cannot be read: {cause.strerror}") from cause
    return parse_json(content, error, f"{path} should be {what}")


def parse_json(content: bytes | str, error: type[WeightspaceError], claim: str) -> dict[str, Any]:
    """Parses text that should be one JSON object.

    Args:
        content: UTF-8 text.
        error: the error type to raise.
        claim: beginning of the message, for instance "x.json should be the metrics of a run".

    Raises:
        WeightspaceError: (the given type) it is damaged, nested too deep, or something else.
    """
    try:
        data = json.loads(content)
    except RecursionError as cause:
        raise error(f"{claim}, and is nested too deep") from cause
    except ValueError as cause:
        raise error(f"{claim}, and is no JSON, or damaged: {cause}") from cause
    if not isinstance(data, dict):
        raise error(f"{claim}, as a JSON object; found {type(data).__name__}")
    return data
