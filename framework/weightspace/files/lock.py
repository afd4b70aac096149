"""One process at a time: locks of the operating system, which end with the process that holds them."""

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
    """A lock on a file, which is made if it is not there, or on a folder that is there.

    It ends with the process that holds it, however that ends: no stale lock stays behind, and none has to be removed.
    Processes that the holder starts do not hold it. On a file, it holds between the machines of a network file system
    that knows locks; where it knows none, this is said, and nothing is locked.

    Args:
        path: of the file or folder.
        busy: the error where another process holds it; None: wait until it is free.
        folder: whether it is a folder: there, machines do not see each other's locks.
    """

    def __init__(self, path: Path, busy: WeightspaceError | None = None, folder: bool = False) -> None:
        self.path, self.busy, self.folder = path, busy, folder
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock, if this object does not have it yet.

        Raises:
            WeightspaceError: ``busy``.
            OSError: there is no such folder, or none for the file, or it cannot be written.
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
        """Gives it back, if this object has it."""
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
    """In a process that was forked: it would hold the locks of its parent, and keep them where that is killed."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_let_go)
