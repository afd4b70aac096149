"""Which processes of a cluster's job join: those that srun has started together."""

from __future__ import annotations

import pytest
import torch.distributed as dist
from weightspace.distributed import joined, world_size
from weightspace.errors import ConfigError

STEP = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"},  # salloc: nothing else runs
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"},  # the script of sbatch
        {"SLURM_NTASKS": "1", **STEP},
    ],
)
def test_a_process_without_others_works_by_itself(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with joined():
        assert world_size() == 1
        assert not dist.is_initialized()


def test_tasks_of_srun_say_how_many_there_are_on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_NTASKS": "4", **STEP}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="4 tasks with --ntasks: give --ntasks-per-node"), joined():
        pass
