"""Joining the processes that a launcher has started, and letting the first one act before the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch.distributed as dist

from weightspace.distributed.collectives import in_any_process, rank
from weightspace.distributed.peers import Peers

Result = TypeVar("Result")


@contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that torchrun or srun has started, over gloo; alone, does nothing.

    They may wait for each other for a week: for a slow one, not for one that has ended, which is noticed at once, and
    said (see ``Peers``).
    """
    if not {"TORCHELASTIC_RUN_ID", "SLURM_NTASKS"} & os.environ.keys():
        yield
        return
    # imported here, because it takes seconds
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    environment = TorchElasticEnvironment() if TorchElasticEnvironment.detect() else SLURMEnvironment()
    if environment.world_size() == 1:
        yield
        return
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    rank, world = environment.global_rank(), environment.world_size()
    dist.init_process_group("gloo", rank=rank, world_size=world, timeout=timedelta(weeks=1))
    peers = Peers(rank, world, lambda: "The same command goes on")
    try:
        peers.meet()
        with peers.answering_sigterm(), peers.watched():
            yield
    finally:
        dist.destroy_process_group()


def first_then_all(action: Callable[[], Result]) -> Result:
    """Runs an action in the first process, then in the others: what the first prepares, they find.

    Returns:
        What the action returned in this process.

    Raises:
        SystemExit: in the others, with code 2, where the first raised an error; it says which.
    """
    error: Exception | None = None
    if rank() == 0:
        try:
            result = action()
        except Exception as raised:
            error = raised
    failed = in_any_process(error is not None)
    if error is not None:
        raise error
    if failed:
        raise SystemExit(2)
    return result if rank() == 0 else action()
