"""Work on many items in several processes of one machine."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from weightspace.errors import WeightspaceError, WorkerEnded

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Fewer items are done here: to start a process takes as long as some of them.
FEW = 8


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> Iterator[Result]:
    """Results of items, in their order; several processes compute them, each one item at a time and in one thread.

    The processes begin with the call and end with the iterator, with ctrl-C, and when this process is killed. They are
    those of a torch DataLoader: forked, or, where the system starts new ones, given ``work`` and ``items`` pickled.

    Args:
        work: called in the processes; what it returns is sent back pickled.
        items: what it is called with.
        processes: how many; by default as many as torch has threads. With one, or few items, the work is done here.

    Raises:
        WeightspaceError: what ``work`` raised for an item, from the iterator.
        WorkerEnded: a process was killed, from the iterator.
    """
    wanted = min(torch.get_num_threads(), _usable_cores()) if processes is None else processes
    if wanted <= 1 or len(items) < FEW:
        return map(work, items)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more than there are cores were asked for
        return _results(iter(_loader(_Work(work, items), min(wanted, len(items)))))


def _loader(work: _Work[Item, Result], processes: int) -> DataLoader[Any]:
    return DataLoader(work, batch_size=None, num_workers=processes, collate_fn=_as_it_is, worker_init_fn=_alone)


class _Work(Dataset[Any], Generic[Item, Result]):
    """Items as a dataset; an error of ours is a result, since torch would add its traceback to the message."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self.work, self.items = work, items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Result | WeightspaceError:
        try:
            return self.work(self.items[index])
        except WeightspaceError as error:
            return error


def _results(found: Iterator[Result | WeightspaceError]) -> Iterator[Result]:
    try:
        for result in found:
            if isinstance(result, WeightspaceError):
                raise result
            yield result
    except RuntimeError as error:
        if not re.match(r"DataLoader worker \(pid", str(error)):
            raise
        raise WorkerEnded(
            f"a process that shared the work was killed, as systems do where memory runs out ({error}): "
            "OMP_NUM_THREADS=1 uses one process alone"
        ) from error


def _as_it_is(result: object) -> object:
    return result


def _alone(worker: int) -> None:
    """Leaves the other cores to the other processes; torch has one thread already."""
    os.environ["IGL_NUM_THREADS"] = "1"


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
