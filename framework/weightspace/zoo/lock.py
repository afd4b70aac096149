"""The lock that lets one process at a time change a zoo."""

from __future__ import annotations

from pathlib import Path

from weightspace.errors import ZooError
from weightspace.files.lock import Lock


class ZooLock(Lock):
    """An exclusive lock on the ``shards`` folder of a zoo.

    Args:
        path: folder of the zoo.
    """

    def __init__(self, path: Path) -> None:
        busy = ZooError(f"another process is writing the zoo at {path}: wait for it, or stop it")
        super().__init__(path / "shards", busy, folder=True)
