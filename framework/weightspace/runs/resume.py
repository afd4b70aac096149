"""Which checkpoint a command or a fit goes on from."""

from __future__ import annotations

from typing import Any

from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import newest_whole, read_checkpoint
from weightspace.runs.folder import RunFolder


def find_checkpoint(folder: RunFolder, asked: str) -> tuple[str, dict[str, Any]]:
    """Finds, checks and reads a checkpoint.

    Args:
        folder: of the run.
        asked: "best", "last" (the newest by steps), a file, or an address.

    Returns:
        Its path or address, and its content.

    Raises:
        ConfigError: it is not there, or is not whole; then the newest before it that is whole is named.
    """
    path = asked if "://" in asked else str(folder.checkpoint(asked))
    try:
        return path, read_checkpoint(path)
    except ConfigError as error:
        before = newest_whole([step for step in folder.steps() if str(step) < path])
        raise ConfigError(f"{error}{f'. The one before it is whole: {before}' if before else ''}") from error
