"""A Trainer as Lightning makes it, without a flag, in one process and in two real ones."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from warm import WarmCommand
from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:predict returned None")


class Recorder(pl.LightningModule):
    """Keeps which networks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: dict[str, list[list[int]]] = {}

    def note(self, name: str, batch: WeightBatch | tuple[WeightBatch, WeightBatch]) -> None:
        first = batch[0] if isinstance(batch, tuple) else batch
        self.seen.setdefault(name, []).extend(torch.stack([first.objects, first.views], dim=1).tolist())

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.note(f"train {self.current_epoch}", batch)
        return self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.note(f"{self.trainer.state.fn.value} {self.current_epoch}", batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> None:
        self.note(["test", "internal"][dataloader_idx], batch)

    def predict_step(self, batch: Any, batch_idx: int) -> None:
        self.note("predict", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def plain(devices: int, **options: Any) -> pl.Trainer:
    strategy = "ddp_fork" if devices > 1 else "auto"
    return pl.Trainer(
        accelerator="cpu", devices=devices, strategy=strategy, logger=False, enable_checkpointing=False, max_epochs=2,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **options,
    )  # fmt: skip


def visits(zoo: str, devices: int = 1, **options: Any) -> dict[str, list[list[int]]]:
    """Runs all commands; what this process was given, by command and epoch."""
    recorder = Recorder()
    pairs = Recorder()
    for module, data in (
        (recorder, ZooDataModule(zoo, batch_size=7, eval_batch_size=7, internal_test=True)),
        (pairs, ZooDataModule(zoo, batch_size=7, positives="views", augmentations=["permute"])),
    ):
        plain(devices, **options).fit(module, data)
    data = ZooDataModule(zoo, eval_batch_size=7, internal_test=True)
    trainer = plain(devices, **options)
    for command in (trainer.validate, trainer.test, trainer.predict):
        command(recorder, data)
    return {**recorder.seen, **{f"pairs {name}": rows for name, rows in pairs.seen.items()}}


#: Networks of the digits' zoo that each visits: 60 objects of three views, the last held out; 20; 20.
EXPECTED = {
    "train 0": 120, "train 1": 120, "fit 0": 20, "fit 1": 20, "validate 0": 20, "test": 20, "internal": 60,
    "predict": 20, "pairs train 0": 60, "pairs train 1": 60, "pairs fit 0": 20, "pairs fit 1": 20,
}  # fmt: skip


def check(seen: dict[str, list[list[int]]]) -> None:
    counts = {name: Counter(map(tuple, rows)) for name, rows in seen.items()}
    assert {name: len(count) for name, count in counts.items()} == EXPECTED
    for name, count in counts.items():
        assert set(count.values()) == {1}, f"{name}: a network was visited more than once"
    assert seen["train 0"] != seen["train 1"], "no new order"


@pytest.mark.parametrize("options", [{}, {"use_distributed_sampler": False}, {"reload_dataloaders_every_n_epochs": 1}])
def test_one_process_visits_every_network_once(digits_zoo: Path, options: dict[str, Any]) -> None:
    check(visits(str(digits_zoo), **options))


def test_two_processes_visit_every_network_once(digits_zoo: Path, tmp_path: Path) -> None:
    with WarmCommand(str(digits_zoo), str(tmp_path), script=__file__) as running:
        _, errors = running.communicate()
    assert running.returncode == 0, errors
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    check({name: one[name] + other[name] for name in one})


def test_overfitting_repeats_the_same_batches(digits_zoo: Path) -> None:
    recorder = Recorder()
    plain(1, overfit_batches=2).fit(recorder, ZooDataModule(str(digits_zoo), batch_size=7))
    assert len(recorder.seen["train 0"]) == 14
    assert recorder.seen["train 0"] == recorder.seen["train 1"]


if __name__ == "__main__":
    zoo, out = sys.argv[1:]

    class Written(Recorder):
        """Writes what each process saw, as these end with each command."""

        def teardown(self, stage: str) -> None:
            path = Path(out) / f"{self.global_rank}.json"
            before = json.loads(path.read_text()) if path.exists() else {}
            prefix = "pairs " if self.trainer.datamodule.positives else ""
            path.write_text(json.dumps({**before, **{prefix + name: rows for name, rows in self.seen.items()}}))

    Recorder = Written  # type: ignore[misc]
    torch.set_num_threads(1)
    visits(zoo, devices=2)
