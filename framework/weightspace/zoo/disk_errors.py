"""Errors of the disk, reported as errors of a zoo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from weightspace.errors import ZooError
from weightspace.files import DiskFullError


@contextmanager
def disk_errors(claim: str, kept: str) -> Iterator[None]:
    """Turns errors of the disk into errors of a zoo, with the reason.

    Args:
        claim: beginning of the message, for instance "zoos/a cannot be written".
        kept: what a job that is run again need not do again, for instance "complete shards are kept".

    Raises:
        ZooError: the disk is full, or there was another error of the system.
    """
    try:
        yield
    except DiskFullError as error:
        raise ZooError(f"{error}; {kept}: make room, then run it again to resume") from error
    except OSError as error:
        raise ZooError(f"{claim}: {error.strerror or error}") from error
