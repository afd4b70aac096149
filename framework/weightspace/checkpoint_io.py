"""Checkpoints that exist whole or not at all, are checked before they are used, and are never unpickled."""

from __future__ import annotations

import io
import signal
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from types import FrameType
from typing import Any

import fsspec
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from weightspace.errors import ConfigError
from weightspace.files import whole_file

#: What fsspec, zipfile and torch raise on files that are missing, cut, altered or of something else.
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, ImportError, zipfile.BadZipFile)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets ctrl-C wait until the block is over: torch's writer of files aborts the process if it is cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if pressed and callable(before):
        before(*pressed[0])


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's plugin for checkpoint files, which writes by ``whole_file`` and reads by ``read_checkpoint``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes the file under a temporary name, flushes it to disk and renames it.

        Raises:
            OSError: the folder cannot be written; a file that was there before stays as it was.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with uninterrupted(), whole_file(path) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a file or an address; whatever ``weights_only`` says, nothing is unpickled."""
        return read_checkpoint(path, map_location)


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Content of a checkpoint, after a look at all its checksums, which torch does not compare.

    Args:
        path: a file, or an address that fsspec knows: ``https://...``.
        map_location: where tensors go, see ``torch.load``.

    Raises:
        ConfigError: it is missing, cut, altered, of something else, or would have to be unpickled.
    """
    try:
        with fsspec.open(str(path), "rb") as file:
            content = io.BytesIO(file.read())
        with zipfile.ZipFile(content) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ConfigError(f"{path} is damaged: {damaged} in it has not the checksum that was written")
        content.seek(0)
        checkpoint: dict[str, Any] = torch.load(content, map_location, weights_only=True)
    except UnpicklingError as error:
        raise ConfigError(
            f"{path} holds more than tensors, numbers and texts. It is not unpickled, since that can run any code: "
            f"{_summary(error)}"
        ) from error
    except _UNREADABLE as error:
        raise ConfigError(f"{path} is not a readable checkpoint: {_summary(error)}") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ConfigError(f"{path} is not a checkpoint: it has no state_dict")
    return checkpoint


def newest_whole(paths: Sequence[Path]) -> Path | None:
    """The last of these checkpoints that can be read; None if none can."""
    for path in reversed(paths):
        with suppress(ConfigError):
            read_checkpoint(path)
            return path
    return None


def _summary(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
