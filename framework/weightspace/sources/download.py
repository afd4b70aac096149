"""Downloading files atomically, with a checksum and a size limit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from weightspace.errors import MissingExtraError, SourceError
from weightspace.files import open_regular, whole_file
from weightspace.files.limits import DOWNLOAD_BYTES

#: Bytes that are received at a time, and seconds that a server may be silent.
PART, TIMEOUT = 1 << 16, 30


def download(url: str, path: Path, checksum: str) -> None:
    """Downloads a file, unless it already exists with this checksum.

    Args:
        url: its address.
        path: where to store it; the folder is created.
        checksum: "algorithm:hex".

    Raises:
        SourceError: the download fails, has another checksum, or the disk is full; no partial file remains.
        MissingExtraError: requests is not installed.
    """
    try:
        import requests
    except ImportError as error:
        raise MissingExtraError("requests", "data", f"downloading {url}") from error
    algorithm, _, expected = checksum.partition(":")
    if path.is_file() and _digest(path, algorithm) == expected:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with requests.get(url, stream=True, timeout=TIMEOUT) as response, whole_file(path) as file:
            response.raise_for_status()
            found = _receive(response.iter_content(PART), file, algorithm)
            if found != expected:
                raise SourceError(
                    f"the server sent another file: its {algorithm} hash should be {expected}, found {found}"
                )
    except (requests.RequestException, OSError, SourceError) as error:
        raise SourceError(f"{url} could not be downloaded to {path.parent} ({_reason(error)})") from error


def _receive(parts: Iterable[bytes], file: BinaryIO, algorithm: str) -> str:
    """Writes the response up to a size limit and returns its digest."""
    digest, size = hashlib.new(algorithm), 0
    for part in parts:
        size += len(part)
        if size > DOWNLOAD_BYTES:
            raise SourceError(f"the server sends more than {DOWNLOAD_BYTES:,} bytes")
        digest.update(part)
        file.write(part)
    return digest.hexdigest()


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with open_regular(path) as file:
        while part := file.read(PART):
            digest.update(part)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    """The reason of a failure, without the class names and object addresses in messages of requests."""
    from requests import exceptions

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}"
    if isinstance(error, exceptions.Timeout):
        return "the server does not answer"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the connection was closed before the end of the file"
    if isinstance(error, exceptions.ConnectionError):
        return "there is no connection to the server"
    return str(error)
