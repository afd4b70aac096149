"""Joining the process group of torchrun or srun, and running an action on rank 0 before the other ranks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch.distributed as dist

from weightspace.distributed.collectives import in_any_process, rank
from weightspace.distributed.peers import Peers
from weightspace.errors import ConfigError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import ClusterEnvironment

Result = TypeVar("Result")


@contextmanager
def joined() -> Iterator[None]:
    """Joins the gloo process group that torchrun or srun has set up; does nothing in a process started by itself.

    The timeout is a week: a rank may be slow. A rank that has died is noticed at once and reported, see ``Peers``.

    Raises:
        ConfigError: srun started several tasks without ``--ntasks-per-node``.
    """
    environment = _environment()
    if environment is None or environment.world_size() == 1:
        yield
        return
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    rank, world = environment.global_rank(), environment.world_size()
    dist.init_process_group("gloo", rank=rank, world_size=world, timeout=timedelta(weeks=1))
    peers = Peers(rank, world, lambda: "The same command resumes it")
    try:
        peers.meet()
        with peers.answering_sigterm(), peers.watched():
            yield
    finally:
        dist.destroy_process_group()


def _environment() -> ClusterEnvironment | None:
    """What started this process; None: nothing of the kind. A job of SLURM without srun is one process of its own."""
    if not {"TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"} & os.environ.keys():
        return None
    # imported here, because it takes seconds
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    tasks = os.environ.get("SLURM_NTASKS", "1")
    if tasks != "1" and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ConfigError(
            f"srun started {tasks} tasks with --ntasks: give --ntasks-per-node instead, as training needs it, too"
        )
    return SLURMEnvironment() if "SLURM_NTASKS" in os.environ else None


def first_then_all(action: Callable[[], Result]) -> Result:
    """Runs an action on rank 0, then on the other ranks, which find what rank 0 has prepared (downloads, caches).

    Returns:
        The result of the action on this rank.

    Raises:
        SystemExit: on the other ranks, with code 2, if the action failed on rank 0, which raises its own error.
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
