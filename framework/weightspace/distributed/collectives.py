"""Collective operations of the processes of a run; in a single process each returns its own input."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def world_size() -> int:
    """How many processes run together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process among them."""
    return dist.get_rank() if world_size() > 1 else 0


def wait_for_all() -> None:
    """Returns when all processes have come here."""
    if world_size() > 1:
        dist.barrier()


def share(count: int, loss: Tensor) -> Tensor:
    """What ``loss``, the mean over this process's ``count`` entries, is to be multiplied by, where shares are uneven.

    The mean over processes of the products is the mean over all entries: gradients, which are averaged over
    processes, are those of the whole batch. Exactly 1 in one process.
    """
    return world_size() * count / total(count, loss.device).to(loss.dtype)


def total(count: int, device: torch.device | str = "cpu") -> Tensor:
    """The sum of all processes' counts."""
    result = torch.tensor(count, device=device)
    if world_size() > 1:
        dist.all_reduce(result)
    return result


def in_any_process(fact: bool, device: torch.device | str = "cpu") -> bool:
    """Whether it is so in at least one process: all are told the same.

    Args:
        fact: of this process.
        device: of the run, through which the processes talk.
    """
    if world_size() == 1:
        return fact
    told = torch.tensor(int(fact), device=device)
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told)


def gather(rows: Tensor) -> tuple[Tensor, int]:
    """All processes' rows, in the order of the processes, with the gradient of all that becomes of them anywhere.

    Each process may have another number of rows: they travel padded to the same number, since collectives of unequal
    shapes are not defined.

    Args:
        rows: (n, ...).

    Returns:
        (N, ...) rows, and the place of this process's first among them.
    """
    if world_size() == 1:
        return rows, 0
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    sizes = [int(count) for count in counts]
    return _Gather.apply(rows, sizes), sum(sizes[: dist.get_rank()])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: list[int]) -> Tensor:
        """See ``gather``."""
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
        """Every process used the rows: their gradients are summed."""
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.begin : ctx.begin + ctx.count], None
