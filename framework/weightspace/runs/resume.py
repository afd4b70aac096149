"""Finding the checkpoint from which a command or a fit resumes."""

from __future__ import annotations

from typing import Any

from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import is_address, newest_whole, read_checkpoint
from weightspace.runs.folder import RunFolder


def find_checkpoint(folder: RunFolder, asked: str) -> tuple[str, dict[str, Any]]:
    """Finds, verifies and reads a checkpoint.

    Args:
        folder: folder of the run.
        asked: "best", "last" (the newest by steps), a file, or an address.

    Returns:
        The path or address of the checkpoint, and its contents.

    Raises:
        ConfigError: the checkpoint is missing or damaged; the message names the newest intact one before it.
    """
    path = asked if is_address(asked) else str(folder.checkpoint(asked))
    try:
        return path, read_checkpoint(path)
    except ConfigError as error:
        before = newest_whole([step for step in folder.steps() if str(step) < path])
        raise ConfigError(f"{error}{f'. The one before it is intact: {before}' if before else ''}") from error
