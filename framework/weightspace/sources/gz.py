"""Reading gzipped files with a limit on their unpacked size."""

from __future__ import annotations

import errno
import gzip
from pathlib import Path

from weightspace.files import FileRefusedError, open_regular

CHUNK = 1 << 20


def gunzip(path: Path, limit: int) -> bytes:
    """Unpacks a file of at most ``limit`` bytes; of a larger one, unpacking ends there.

    Raises:
        FileRefusedError: it is no regular file, or unpacks to more.
        OSError, EOFError, zlib.error: the file cannot be read, is truncated or damaged.
    """
    content = bytearray()
    with open_regular(path) as file, gzip.GzipFile(fileobj=file) as unpacked:
        while part := unpacked.read(CHUNK):
            content += part
            if len(content) > limit:
                raise FileRefusedError(errno.EFBIG, f"unpacks to more than {limit:,} bytes", str(path))
    return bytes(content)


def gunzip_start(path: Path, size: int) -> bytes:
    """The first bytes of an unpacked file."""
    with open_regular(path) as file, gzip.GzipFile(fileobj=file) as unpacked:
        return unpacked.read(size)
