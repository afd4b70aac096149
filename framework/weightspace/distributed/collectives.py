"""Collective operations over the ranks of a run; in a single process each returns its own input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def world_size() -> int:
    """Number of ranks in the run; 1 if it is not distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Rank of this process; 0 if the run is not distributed."""
    return dist.get_rank() if world_size() > 1 else 0


def wait_for_all() -> None:
    """Blocks until every rank has reached this call."""
    if world_size() > 1:
        dist.barrier()


def share(count: int, loss: Tensor, everyones: int | None = None) -> Tensor:
    """Weight of this rank's mean loss, so that averaging over ranks gives the mean over all entries.

    DDP averages gradients over ranks. If ranks hold different numbers of entries, multiplying each mean loss by this
    weight makes the averaged gradient that of the whole batch. Exactly 1 in a single process.

    Args:
        count: entries in this rank's mean.
        loss: that mean; it gives device and dtype.
        everyones: entries in the means of all ranks, if each of them knows it; None: they exchange it.
    """
    entries = total(count, loss.device) if everyones is None else torch.full((), everyones, device=loss.device)
    return world_size() * count / entries.to(loss.dtype)


def total(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Sum of ``count`` over all ranks, as a tensor on ``device``."""
    result = torch.full((), count, device=device)  # a copy from the host would wait for the device
    if world_size() > 1:
        dist.all_reduce(result)
    return result


def in_any_process(fact: bool, device: torch.device | str = "cpu") -> bool:
    """Whether ``fact`` is true on at least one rank; every rank gets the same answer.

    Args:
        fact: the local value.
        device: on which the ranks communicate (that of the model).
    """
    return ask(torch.full((), fact, device=device))()


def ask(fact: Tensor) -> Callable[[], bool]:
    """Begins to ask all ranks whether a fact is true on at least one of them; computation goes on meanwhile.

    Args:
        fact: () bool, the local value, on the device on which the ranks communicate.

    Returns:
        A function that waits for the answer, the same on every rank.
    """
    if world_size() == 1:
        return lambda: bool(fact)
    anywhere = fact.to(torch.int32)
    work = dist.all_reduce(anywhere, dist.ReduceOp.MAX, async_op=True)

    def answer() -> bool:
        if work is not None:
            work.wait()
        return bool(anywhere)

    return answer


def gather(rows: Tensor, sizes: list[int] | None = None) -> tuple[Tensor, int]:
    """Concatenates the rows of all ranks, in rank order; gradients flow back to the rank that a row came from.

    Ranks may hold different numbers of rows: they are padded for the exchange, because collectives need equal shapes.

    Args:
        rows: (n, ...).
        sizes: n of each rank, if each of them knows all; None: they exchange them.

    Returns:
        (N, ...) rows of all ranks, and the index of this rank's first row among them.
    """
    if world_size() == 1:
        return rows, 0
    if sizes is None:
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world_size())]
        dist.all_gather(counts, torch.full((1,), len(rows), device=rows.device))
        sizes = [int(count) for count in counts]
    return _Gather.apply(rows, sizes), sum(sizes[: dist.get_rank()])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: list[int]) -> Tensor:
        """Gathers the padded rows of every rank."""
        ctx.begin = sum(sizes[: dist.get_rank()])
        ctx.count = len(rows)
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Sums the gradients of all ranks, since each of them used these rows."""
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.begin : ctx.begin + ctx.count], None
