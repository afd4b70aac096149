"""One process at a time may change a zoo."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from weightspace.errors import ZooError


class ZooLock:
    """The right to change a zoo's folder, as a lock of the operating system on its ``shards``.

    It ends with the process that holds it, however that ends: no stale lock stays behind, and none has to be removed.

    Args:
        path: folder of the zoo.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock, without waiting.

        Raises:
            ZooError: another process has it.
            OSError: there is no folder ``shards``.
        """
        self._descriptor = os.open(self.path / "shards", os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise ZooError(f"another process is writing the zoo at {self.path}: wait for it, or stop it") from error

    def release(self) -> None:
        """Gives it back, if this process has it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
