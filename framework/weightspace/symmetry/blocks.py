"""Work on blocks of networks in several threads at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Block = TypeVar("Block")
Result = TypeVar("Result")


def in_threads(work: Callable[[Block], Result], blocks: Sequence[Block], device: torch.device) -> list[Result]:
    """Results of each block, in order; as many threads as torch has take one block each at a time.

    On a CPU each thread computes alone, without torch's threads within an operation. On a GPU each has a stream of its
    own, which first waits for what was asked of the caller's stream, so that one block is computed while another one is
    on the host; there are at least two threads. They end with the call: a process may be forked afterwards.

    Args:
        work: called in the threads; it keeps no gradients.
        blocks: what it is called with.
        device: on which it computes.
    """
    threads = torch.get_num_threads()
    workers = min(len(blocks), threads if device.type == "cpu" else max(2, threads))
    if workers <= 1:
        return [work(block) for block in blocks]
    ready = torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None

    def alone(block: Block) -> Result:
        with torch.no_grad(), _one_thread(device) if ready is None else _own_stream(device, ready):
            return work(block)

    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(alone, blocks))
    finally:
        torch.set_num_threads(threads)  # also what threads that start later inherit


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    if device.type == "cpu":
        torch.set_num_threads(1)  # of the calling thread
    yield


@contextmanager
def _own_stream(device: torch.device, ready: torch.Event) -> Iterator[None]:
    stream = torch.cuda.Stream(device)
    stream.wait_event(ready)
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()
