"""What a loader's worker processes print when the main process breaks off a transfer."""

from __future__ import annotations

import os
from multiprocessing import current_process
from multiprocessing.connection import Client
from multiprocessing.resource_sharer import DupFd
from typing import Any

import pytest
from torch.utils.data import DataLoader
from weightspace.data import ZooDataModule
from weightspace.data.loading import quiet_hang_ups
from weightspace.zoo import Zoo


class Files:
    """Items that a worker sends as torch sends tensors: as open files, for which its server thread is asked."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return DupFd(os.open(os.devnull, os.O_RDONLY))


def hang_up(**options: Any) -> None:
    """Ends the connection to a worker's server before anything was asked, and lets the worker end."""
    loader = DataLoader(Files(), batch_size=None, num_workers=1, collate_fn=lambda item: item, **options)  # type: ignore[arg-type]
    items = iter(loader)
    address, _ = next(items)._id
    Client(address, authkey=current_process().authkey).close()
    with os.fdopen(next(items).detach()):  # the same thread answers, after the connection that was broken off
        del items


def test_a_worker_whose_transfer_is_broken_off_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    hang_up()
    assert "EOFError" in capfd.readouterr().err
    hang_up(worker_init_fn=quiet_hang_ups)
    assert capfd.readouterr().err == ""


def test_every_loader_of_a_data_module_has_such_workers(zoo: Zoo) -> None:
    data = ZooDataModule(zoo.path, num_workers=1)
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert loader.worker_init_fn is quiet_hang_ups
