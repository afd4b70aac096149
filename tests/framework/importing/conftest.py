"""Fixtures for imports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from weightspace.cli.main import main
from weightspace.zoo import Zoo


@pytest.fixture
def network() -> Callable[[int], dict[str, Tensor]]:
    """Makes the state_dict of a ReLU network 2-4-1: (seed) -> tensors."""

    def make(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).state_dict()

    return make


@pytest.fixture
def save_networks(network: Callable[[int], dict[str, Tensor]]) -> Callable[..., Path]:
    """Saves another such network under each name: (root, *names) -> root."""

    def save(root: Path, *names: str) -> Path:
        for seed, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            torch.save(network(seed), root / name)
        return root

    return save


@pytest.fixture
def import_folder() -> Callable[..., Zoo]:
    """Imports a folder of such networks: (root, *options) -> zoo."""

    def run(root: Path, *options: str) -> Zoo:
        out = root.with_name(f"{root.name}_zoo")
        command = ["zoo", "import", str(root), "--format", "folder", "--activation", "relu", "--out", str(out)]
        assert main([*command, *options]) == 0
        return Zoo(out)

    return run


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Imports a folder as the Small CNN Zoo, which is refused: (root, *options) -> the message in one line."""

    def run(root: Path, *options: str) -> str:
        out = tmp_path / "refused"
        assert main(["zoo", "import", str(root), "--format", "small-cnn-zoo", *options, "--out", str(out)]) == 2
        assert not out.exists()
        return " ".join(capsys.readouterr().err.split())

    return run
