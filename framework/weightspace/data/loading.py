"""A loader that decides late where it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader

from weightspace.data.sampling import BatchSampler


class LateLoader(DataLoader[Any]):
    """A DataLoader that fetches nothing before the first batch is asked for, and asks then with which to begin.

    Lightning makes iterators before it has restored its loops and told the sampler the epoch; worker processes, which
    fetch in advance, would begin with the wrong batches.

    Args:
        begin: number of the first batch of a pass.
        **options: of torch's DataLoader; the sampler is a ``BatchSampler``.
    """

    def __init__(self, begin: Callable[[], int], **options: Any) -> None:
        super().__init__(**options)
        self.begin = begin

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """One pass."""
        assert isinstance(self.sampler, BatchSampler)
        self.sampler.begin = self.begin()
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Nothing: that there is such a method tells Lightning that the loader goes on in the middle of an epoch."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes nothing."""


def dead_worker(error: RuntimeError) -> str | None:
    """Says which loader worker has ended before its time, where that is what an error of torch tells.

    >>> dead_worker(RuntimeError("DataLoader worker (pid(s) 4711) exited unexpectedly"))
    'loader worker process 4711 exited unexpectedly (systems end some where memory runs out)'
    """
    told = re.match(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (.*)", str(error), re.DOTALL)
    if told is None:
        return None
    pids, how = told.groups()
    return f"loader worker process {pids} {' '.join(how.split()).rstrip('.')} (systems end some where memory runs out)"
