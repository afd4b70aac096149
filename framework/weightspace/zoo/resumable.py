"""Stopping a job that the same command resumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Says at ctrl-C that a job can be resumed.

    Args:
        kept: what is kept, for instance "complete shards in zoos/a are kept".

    Raises:
        KeyboardInterrupt: after ctrl-C, with that message.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped: {kept}, run it again to resume") from None
