"""Reading the text of configuration files within limits of size and time.

jsonargparse reads files of any size and waits for pipes forever, and has no settings for this. So its reader is
replaced here.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from pathlib import Path
from typing import Any

from jsonargparse import _paths as paths

from weightspace.errors import ConfigError
from weightspace.files import FileRefusedError, read_regular
from weightspace.files.safe_yaml import MOST_CHARACTERS

#: Largest size of a configuration in bytes.
LIMIT = 4 * MOST_CHARACTERS
#: Time in seconds to wait for the writer of a pipe.
WRITER_SECONDS = 1.0

# references to the original functions
_known_to_fsspec = paths._known_to_fsspec


def install() -> None:
    """Installs the limits for all parsers of this process."""
    paths.Path.read_text = read_text  # type: ignore[method-assign, assignment]
    paths._known_to_fsspec = lambda path: "local:" not in path and _known_to_fsspec(path)


def read_text(path: Any) -> str:
    """Reads the text of a file, an address, a pipe, or standard input.

    Args:
        path: a path object of jsonargparse.

    Raises:
        ConfigError: the text is too long, or from a pipe without a writer.
        UnicodeDecodeError: the text is not UTF-8.
    """
    if path._std_io:
        return _standard_input()
    if path.is_fsspec:
        with paths.import_fsspec("read_text").open(path.absolute, "rb") as file:
            return _within(file.read(LIMIT + 1), path.relative).decode()
    try:
        return read_file(Path(path.absolute)).decode()
    except OSError as error:
        raise ConfigError(f"{path.relative}: {error.strerror}") from error


def read_file(path: Path) -> bytes:
    """Reads at most ``LIMIT`` bytes from a regular file or a pipe.

    Raises:
        FileRefusedError: the file is of another kind, too large, or a pipe without a writer.
        OSError: the file cannot be read.
    """
    if not stat.S_ISFIFO(path.stat().st_mode):
        return read_regular(path, LIMIT)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        first = _first(descriptor)
        if not first:
            raise FileRefusedError(errno.EINVAL, "is a fifo without a writer", str(path))
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = first + file.read(LIMIT + 1 - len(first))
    finally:
        os.close(descriptor)
    if len(content) > LIMIT:
        raise FileRefusedError(errno.EFBIG, f"more than {LIMIT:,} bytes are too many", str(path))
    return content


def _first(descriptor: int) -> bytes:
    """Reads the first bytes from a pipe; empty if there is no writer in time."""
    end = time.monotonic() + WRITER_SECONDS
    while True:
        try:
            content = os.read(descriptor, 1 << 16)
        except BlockingIOError:  # there is a writer, which may take any time
            select.select([descriptor], [], [])
            continue
        if content or time.monotonic() > end:
            return content
        time.sleep(0.01)


def _standard_input() -> str:
    if not isinstance(sys.stdin, paths._CachedStdin):
        text = sys.stdin.read(LIMIT + 1)
        if len(text) > LIMIT:
            raise ConfigError(f"standard input: more than {LIMIT:,} characters are too many")
        sys.stdin = paths._CachedStdin(text)
    return sys.stdin.getvalue()


def _within(content: bytes, name: str) -> bytes:
    if len(content) > LIMIT:
        raise ConfigError(f"{name}: more than {LIMIT:,} bytes are too many")
    return content
