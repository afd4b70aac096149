"""Mutual exclusion of processes by locks of the operating system, which end with the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import weakref
from pathlib import Path
from types import TracebackType

from weightspace.errors import WeightspaceError

#: What file systems answer that know no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class Lock:
    """An exclusive lock on a file, which is created if needed, or on an existing folder.

    The lock ends with the process that holds it, however that ends, so no stale lock ever has to be removed. Child
    processes do not inherit it. A lock on a file also works between machines that share a network file system with
    lock support; on a file system without locks a warning is printed and nothing is locked.

    Args:
        path: the file or folder.
        busy: the error to raise if another process holds the lock; None: wait for it.
        folder: whether ``path`` is a folder, whose locks other machines do not see.
    """

    def __init__(self, path: Path, busy: WeightspaceError | None = None, folder: bool = False) -> None:
        self.path, self.busy, self.folder = path, busy, folder
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Acquires the lock, unless this object already holds it.

        Raises:
            WeightspaceError: ``busy``.
            OSError: the folder, or the file's parent, does not exist or cannot be written.
        """
        if self._descriptor is not None:
            return
        flags = os.O_RDONLY if self.folder else os.O_RDWR | os.O_CREAT  # network locks need a file to be written
        self._descriptor = os.open(self.path, flags)
        _held.add(self)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if self.busy else 0))
        except BlockingIOError as error:
            self.release()
            assert self.busy is not None
            raise self.busy from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                self.release()
                raise
            print(
                f"the file system of {self.path} knows no locks ({error.strerror}): see to it yourself that no other "
                "process writes there",
                file=sys.stderr,
            )

    def release(self) -> None:
        """Releases the lock, if this object holds it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _held.discard(self)

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _let_go() -> None:
    """Releases inherited locks after a fork: a child would otherwise keep them after its parent is killed."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_let_go)
