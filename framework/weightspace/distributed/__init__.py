"""The processes of a run: what they exchange, how they join, and how they notice that one has ended."""

from weightspace.distributed.collectives import gather, in_any_process, rank, share, total, wait_for_all, world_size
from weightspace.distributed.joining import first_then_all, joined

__all__ = [
    "first_then_all",
    "gather",
    "in_any_process",
    "joined",
    "rank",
    "share",
    "total",
    "wait_for_all",
    "world_size",
]
