"""Checkpoints that exist whole or not at all, are checked before they are used, and are never unpickled."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import fsspec
import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO

from weightspace.errors import ConfigError, interrupted
from weightspace.files import write_whole
from weightspace.files.reading import reading, refused_pickle, uninterrupted
from weightspace.runs.loops import exchange_checkpoint_io

#: What fsspec, zipfile and torch raise on files that are missing, cut, altered or of something else.
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, ImportError, zipfile.BadZipFile)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's plugin for checkpoint files, which writes by ``whole_file`` and unpickles nothing."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes the file under a temporary name, flushes it to disk and renames it.

        Raises:
            OSError: the folder cannot be written; a file that was there before stays as it was.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        with uninterrupted():
            torch.save(checkpoint, content)  # in memory: torch's writer aborts the process where a disk is full
            write_whole(path, content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a file or an address; whatever ``weights_only`` says, nothing is unpickled."""
        return _loaded(_checked(path), path, map_location)


class GuardedCheckpointIO(CheckpointIO):
    """Writes as another plugin does, and reads as ``AtomicCheckpointIO``: what was checked is what is used.

    Args:
        writer: the other plugin.
        checked: checkpoints that have been read already, by path or address; each is used once.
    """

    def __init__(self, writer: CheckpointIO, checked: dict[str, dict[str, Any]]) -> None:
        self.writer, self.checked = writer, checked

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes by the other plugin."""
        self.writer.save_checkpoint(checkpoint, path, storage_options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """The checkpoint that was read already, if it was: an address might give another one by now."""
        known = self.checked.pop(str(path), None)
        return AtomicCheckpointIO().load_checkpoint(path, map_location) if known is None else known

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes by the other plugin."""
        self.writer.remove_checkpoint(path)

    def teardown(self) -> None:
        """Ends the other plugin."""
        self.writer.teardown()


def guard(trainer: pl.Trainer, checked: dict[str, dict[str, Any]] | None = None) -> None:
    """Has a trainer unpickle nothing, whoever made it and whichever plugin writes its checkpoints.

    Args:
        trainer: one that has not restored a checkpoint yet.
        checked: checkpoints that have been read already, by path or address.
    """

    def guarded(writer: CheckpointIO) -> CheckpointIO:
        if isinstance(writer, GuardedCheckpointIO):
            return writer
        if type(writer) is TorchCheckpointIO:  # that of a trainer without a plugin
            writer = AtomicCheckpointIO()
        return GuardedCheckpointIO(writer, checked or {})

    exchange_checkpoint_io(trainer, guarded)


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Content of a checkpoint, after a look at all its checksums, which torch does not compare.

    Args:
        path: a file, or an address that fsspec knows: ``https://...``.
        map_location: where tensors go, see ``torch.load``.

    Raises:
        ConfigError: it is missing, cut, altered, of something else, or would have to be unpickled.
    """
    checkpoint = _loaded(_checked(path), path, map_location)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ConfigError(f"{path} is not a checkpoint: it has no state_dict")
    return checkpoint


def _checked(path: str | Path) -> io.BytesIO:
    """The bytes of a file that torch has written, with the checksums that were written."""
    try:
        content = io.BytesIO(_fetched(str(path)))
        with zipfile.ZipFile(content) as archive:
            damaged = archive.testzip()
    except _UNREADABLE as error:
        raise ConfigError(f"{path} is not a readable checkpoint: {_summary(error)}") from error
    if damaged is not None:
        raise ConfigError(f"{path} is damaged: {damaged} in it has not the checksum that was written")
    content.seek(0)
    return content


def _fetched(path: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read()
            return content
    except _UNREADABLE:
        raise
    except Exception as error:  # each file system has errors of its own: a body that was cut is aiohttp's
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
    """The last of these checkpoints that can be read; None if none can."""
    for path in reversed(paths):
        with suppress(ConfigError):
            read_checkpoint(path)
            return path
    return None


def _summary(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
