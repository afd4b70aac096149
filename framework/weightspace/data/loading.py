"""A data loader that can start in the middle of an epoch, and what its worker processes say when they end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from torch.utils.data import DataLoader

from weightspace.data.sampling import BatchSampler


class LateLoader(DataLoader[Any]):
    """A DataLoader that chooses its first batch only when iteration starts, so that a resumed run continues correctly.

    Lightning creates iterators before it has restored its loops and set the sampler's epoch; worker processes, which
    prefetch, would otherwise start with the wrong batches.

    Args:
        begin: returns the index of the first batch of a pass.
        **options: of torch's DataLoader; the sampler is a ``BatchSampler``.
    """

    def __init__(self, begin: Callable[[], int], **options: Any) -> None:
        super().__init__(**options)
        self.begin = begin

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterates over the batches of one epoch, from the first batch that ``begin`` returns."""
        assert isinstance(self.sampler, BatchSampler)
        self.sampler.begin = self.begin()
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Returns an empty state; Lightning takes the method as a sign that the loader can resume within an epoch."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Does nothing, since the state is empty."""


def quiet_hang_ups(worker: int) -> None:
    """Initialises a loader's worker process so that it prints nothing when the main process breaks off a transfer.

    That happens when the main process ends in the middle of one, for instance because another worker died. It tells
    why itself; the traceback that the thread serving the transfer would print is no part of the reason.

    Args:
        worker: number of the worker, not used.
    """
    shown = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, ConnectionError | EOFError):
            shown(kind, error, trace)

    sys.excepthook = hook


def dead_worker(error: RuntimeError) -> str | None:
    """Describes the data-loader worker that died, or returns None if torch's error is about something else.

    >>> dead_worker(RuntimeError("DataLoader worker (pid(s) 4711) exited unexpectedly"))
    'loader worker process 4711 exited unexpectedly (out of memory is a common cause)'
    """
    match = re.match(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (.*)", str(error), re.DOTALL)
    if match is None:
        return None
    pids, how = match.groups()
    return f"loader worker process {pids} {' '.join(how.split()).rstrip('.')} (out of memory is a common cause)"
