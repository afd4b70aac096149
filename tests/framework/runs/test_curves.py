"""Learning curves of runs whose steps were logged twice."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from weightspace.runs.curves import read_curves
from weightspace.runs.folder import RunFolder


def test_steps_that_were_repeated_count_once_and_in_order(tmp_path: Path) -> None:
    for steps, value in (((50, 100), 1.0), ((50, 100, 150), 2.0)):  # killed after step 100, resumed from its start
        with SummaryWriter(str(tmp_path), filename_suffix=f".{value}") as writer:
            for step in steps:
                writer.add_scalar("val/loss", value, step)
    assert read_curves(RunFolder(tmp_path)) == {"val/loss": [(50, 2.0), (100, 2.0), (150, 2.0)]}
