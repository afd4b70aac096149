"""Distributed runs: collective operations, joining the process group, and detecting that a rank has died."""

from weightspace.distributed.collectives import (
    ask,
    gather,
    in_any_process,
    rank,
    share,
    total,
    wait_for_all,
    world_size,
)
from weightspace.distributed.joining import first_then_all, joined

__all__ = [
    "ask",
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
