"""Atomic checkpoints, whose checksums are verified before use, and which are never unpickled."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import fsspec
import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO

from weightspace.errors import ConfigError, interrupted
from weightspace.files import write_whole
from weightspace.files.reading import reading, refused_pickle, uninterrupted
from weightspace.runs.loops import exchange_checkpoint_io

#: Errors of fsspec, zipfile and torch for files that are missing, truncated, altered or of another kind.
_UNREADABLE = (
    *(OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, ImportError),
    *(zipfile.BadZipFile, zlib.error),
)


def is_address(path: str | Path) -> bool:
    """Whether this is an address of fsspec, as ``s3://bucket/x.ckpt``, and not a local file."""
    return "://" in str(path)


class AtomicCheckpointIO(TorchCheckpointIO):
    """A checkpoint plugin of Lightning that writes atomically (``whole_file``) and never unpickles."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes the file under a temporary name, flushes it to disk and renames it. To an address, it is uploaded.

        Raises:
            OSError: the folder cannot be written; an existing file is then not changed.
        """
        content = io.BytesIO()
        with uninterrupted():
            torch.save(checkpoint, content)  # in memory: torch's writer aborts the process if a disk is full
            if is_address(path):
                with fsspec.open(str(path), "wb") as file:
                    file.write(content.getbuffer())
            else:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                write_whole(Path(path), content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a checkpoint from a file or an address without unpickling, regardless of ``weights_only``."""
        return _loaded(_checked(path), path, map_location)


class GuardedCheckpointIO(CheckpointIO):
    """A checkpoint plugin that writes with another plugin and reads like ``AtomicCheckpointIO``.

    Args:
        writer: the plugin that writes.
        checked: checkpoints that have been read and checked already, by path or address; each is used once.
    """

    def __init__(self, writer: CheckpointIO, checked: dict[str, dict[str, Any]]) -> None:
        self.writer, self.checked = writer, checked

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint with the other plugin."""
        self.writer.save_checkpoint(_readable(checkpoint), path, storage_options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Returns the checkpoint that was checked, since an address might give another one by now, or else reads it."""
        known = self.checked.pop(str(path), None)
        return AtomicCheckpointIO().load_checkpoint(path, map_location) if known is None else known

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes a checkpoint with the other plugin."""
        self.writer.remove_checkpoint(path)

    def teardown(self) -> None:
        """Tears down the other plugin."""
        self.writer.teardown()


def _readable(value: Any) -> Any:
    """Replaces NumPy's numbers, for instance a rate of ``np.logspace``, by Python's, which need no unpickling."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {_readable(key): _readable(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_readable, value))
    return value


def guard(trainer: pl.Trainer, checked: dict[str, dict[str, Any]] | None = None) -> None:
    """Replaces a trainer's checkpoint plugin by one that never unpickles, whichever plugin it has.

    Args:
        trainer: a trainer that has not yet restored a checkpoint.
        checked: checkpoints that have been read and checked already, by path or address.
    """

    def guarded(writer: CheckpointIO) -> CheckpointIO:
        if isinstance(writer, GuardedCheckpointIO):
            return writer
        if type(writer) is TorchCheckpointIO:  # that of a trainer without a plugin
            writer = AtomicCheckpointIO()
        return GuardedCheckpointIO(writer, checked or {})

    exchange_checkpoint_io(trainer, guarded)


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint after verifying its checksums, which torch does not do.

    Args:
        path: a file, or an address that fsspec supports, as ``https://...``.
        map_location: device of the tensors, see ``torch.load``.

    Raises:
        ConfigError: the file is missing, truncated, altered, not a checkpoint, or would have to be unpickled.
    """
    checkpoint = _loaded(_checked(path), path, map_location)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ConfigError(f"{path} is not a checkpoint: it has no state_dict")
    return checkpoint


def _checked(path: str | Path) -> io.BytesIO:
    """Reads a file written by torch and verifies its checksums."""
    if Path(path).is_dir():
        raise ConfigError(f"{path} is a folder: give the path of a checkpoint, such as checkpoints/best.ckpt of a run")
    try:
        content = io.BytesIO(_fetched(str(path)))
        with zipfile.ZipFile(content) as archive:
            damaged = archive.testzip()
    except _UNREADABLE as error:
        raise ConfigError(f"{path} is not a readable checkpoint: {_summary(error)}") from error
    if damaged is not None:
        raise ConfigError(f"{path} is damaged: the checksum of {damaged} in it is wrong")
    content.seek(0)
    return content


def _fetched(path: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read()
            return content
    except _UNREADABLE:
        raise
    except Exception as error:  # file systems have various errors: for a truncated body, one of aiohttp
        if interrupted(error):
            raise KeyboardInterrupt from error
        raise OSError(f"{type(error).__name__}: {_summary(error)}") from error


def _loaded(content: io.BytesIO, path: str | Path, map_location: Any) -> dict[str, Any]:
    def refuse(error: Exception) -> ConfigError:
        if isinstance(error, UnpicklingError):
            return ConfigError(f"{path} is refused: {refused_pickle(error)}")
        return ConfigError(f"{path} is not a readable checkpoint: {_summary(error)}")

    with reading(refuse):
        checkpoint: dict[str, Any] = torch.load(content, map_location, weights_only=True)
    return checkpoint


def newest_whole(paths: Sequence[Path]) -> Path | None:
    """Returns the last of these checkpoints that can be read, or None if none can."""
    for path in reversed(paths):
        with suppress(ConfigError):
            read_checkpoint(path)
            return path
    return None


def _summary(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
