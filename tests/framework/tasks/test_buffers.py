"""Which buffers processes send each other in every step."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from weightspace.backbones import DWS, GNN, Canonical
from weightspace.backbones.normaliser import Normaliser
from weightspace.spec import NetworkSpec
from weightspace.tasks.buffers import has_changing_buffers, leave_constant_buffers

SPEC = NetworkSpec((2, 4, 3, 1), "sine", 30.0, 0.5)


class Counting(Normaliser):
    """A normaliser of somebody else's, with a buffer that changes."""

    def __init__(self) -> None:
        super().__init__(3)
        self.register_buffer("seen", torch.zeros(()))


@pytest.mark.parametrize(
    "model",
    [
        DWS(SPEC, 3, hidden=4, layers=1),
        GNN(SPEC, 3, hidden=4, layers=1),
        Canonical(SPEC, 3, DWS.partial(hidden=4, layers=1), form="reference"),
    ],
)
def test_buffers_of_backbones_do_not_change(model: nn.Module) -> None:
    assert list(model.buffers())
    assert not has_changing_buffers(model)


@pytest.mark.parametrize("module", [nn.BatchNorm1d(3), Counting()])
def test_buffers_that_are_not_declared_constant_may_change(module: nn.Module) -> None:
    assert has_changing_buffers(nn.Sequential(Normaliser(3), module))


def test_ddp_sends_only_buffers_that_may_change(tmp_path: Path) -> None:
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        for changing in (False, True):
            layers = [Normaliser(3), nn.Linear(3, 3), *([nn.BatchNorm1d(3)] if changing else [])]
            model = DistributedDataParallel(nn.Sequential(*layers))
            leave_constant_buffers(SimpleNamespace(strategy=SimpleNamespace(model=model)))
            assert model.will_sync_module_buffers() == changing
    finally:
        dist.destroy_process_group()
