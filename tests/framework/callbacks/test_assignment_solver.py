"""A run keeps the solver of the assignment problems that it began with."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from weightspace.backbones import DWS
from weightspace.callbacks import standard_callbacks
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.files import read_json
from weightspace.runs.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from weightspace.symmetry.assignment import describe_solver, solver, use_solver
from weightspace.tasks import SupervisedTask

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*smaller than the logging interval",
    "ignore:.*no last checkpoint available",
)


class SolversSeen(pl.Callback):
    def __init__(self) -> None:
        self.seen: set[str] = set()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen.add(solver())


def train(zoo: Path, folder: Path, epochs: int, augmentation: str = "mixup_aligned") -> set[str]:
    """Trains or resumes; returns the solvers that were in use."""
    pl.seed_everything(0, verbose=False)
    seen = SolversSeen() if augmentation == "mixup_aligned" else pl.Callback()
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=[seen, *standard_callbacks(folder)], accelerator="cpu", logger=False,
        limit_train_batches=2, limit_val_batches=1, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    data = ZooDataModule(str(zoo), batch_size=8, augmentations=[augmentation])
    trainer.fit(SupervisedTask(partial(DWS, hidden=4, layers=1)), data, ckpt_path="last")
    return seen.seen if isinstance(seen, SolversSeen) else set()


def newest(folder: Path) -> Path:
    return max((folder / "checkpoints").glob("step-*.ckpt"))


def recorded(folder: Path) -> tuple[str, str]:
    provenance = read_json(folder / "provenance.json", ConfigError, "the provenance of a run")
    return provenance["assignment_solver"], read_checkpoint(str(newest(folder)))["assignment_solver"]


def test_a_resumed_run_keeps_its_solver(digits_zoo: Path, tmp_path: Path) -> None:
    use_solver("scipy")
    try:
        assert train(digits_zoo, tmp_path, 1) == {"scipy"}
        assert solver() == "scipy", "as before the training"
    finally:
        use_solver(None)
    assert train(digits_zoo, tmp_path, 2) == {"scipy"}
    assert recorded(tmp_path) == (describe_solver("scipy"), "scipy")
    assert solver() == "lapx", "as before the training"


def test_a_run_that_aligned_with_lapx_is_not_resumed_without_it(
    digits_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(digits_zoo, tmp_path, 1) == {"lapx"}
    assert recorded(tmp_path) == (describe_solver("lapx"), "lapx")
    monkeypatch.setitem(sys.modules, "lap", None)  # its import fails from now on
    with pytest.raises(ConfigError, match=r"lapx was asked for, .*by a run that began with it.*pip install lapx"):
        train(digits_zoo, tmp_path, 2)
    assert solver() == "scipy", "the error has ended what the run asked for"
    train(digits_zoo, tmp_path, 2, augmentation="mixup")  # aligns nothing


def test_a_checkpoint_of_an_earlier_version_which_names_no_solver_had_scipys(digits_zoo: Path, tmp_path: Path) -> None:
    assert train(digits_zoo, tmp_path, 1) == {"lapx"}
    content = read_checkpoint(str(newest(tmp_path)))
    del content["assignment_solver"]
    AtomicCheckpointIO().save_checkpoint(content, newest(tmp_path))
    assert train(digits_zoo, tmp_path, 2) == {"scipy"}
    assert read_checkpoint(str(newest(tmp_path)))["assignment_solver"] == "scipy"
