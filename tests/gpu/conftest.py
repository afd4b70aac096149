"""Tests of what another device than the CPU changes, run by `make gpu`, and by `make gpu DEVICE=cpu` on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device given with --device; without it a GPU."""
    chosen = request.config.getoption("--device")
    if chosen is None and not torch.cuda.is_available():
        pytest.skip("no GPU for torch here; on the CPU: make gpu DEVICE=cpu")
    return torch.device(chosen or "cuda")
