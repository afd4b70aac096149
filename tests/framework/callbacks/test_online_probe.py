"""Accuracies of frozen embeddings during pretraining: when they are measured, and what a run says of them."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import weightspace as ws
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from weightspace.backbones import DWS, embed, load_backbone
from weightspace.callbacks.online_probe import METRICS, OnlineProbe, probe
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.runs.curves import read_curves
from weightspace.runs.folder import RunFolder
from weightspace.tasks import ContrastiveTask

STOPS = """
from lightning.pytorch import Callback

class Stops(Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.should_stop = trainer.current_epoch == 2
"""


@pytest.fixture
def fit(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of a small pretraining of up to nine epochs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("stops.py").write_text(STOPS)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    config = {
        "model": {
            "class_path": "weightspace.tasks.ContrastiveTask",
            "init_args": {"backbone": backbone, "embedding": 8},
        },
        "data": {"zoo": str(digits_zoo), "batch_size": 16, "positives": "both", "augmentations": ["sign_flip"]},
        "trainer": {"accelerator": "cpu", "max_epochs": 9},
    }
    Path("pretrain.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "-c", "pretrain.yaml"]


def test_the_end_of_training_is_evaluated_and_no_epoch_has_the_numbers_of_another(
    fit: list[str], digits_zoo: Path
) -> None:
    stops = ["--trainer.callbacks+=stops.Stops", "--probe.every_n_epochs", "2"]
    assert main([*fit, *stops]) == 0
    folder = RunFolder(Path("runs/pretrain/0"))
    measured = folder.read_metrics()["fit"]
    assert measured["epochs"] == 3
    encoder, data = load_backbone(folder.path / "encoder.safetensors"), ZooDataModule(str(digits_zoo))
    parts = []
    for batches in (data.training_batches(5_000), data.evaluation_batches("val", 5_000)):
        targets = torch.cat([batch.targets for batch in batches])
        parts.append((torch.cat([embed(encoder, batch) for batch in batches]), targets))
    expected = probe(*parts)
    assert {name: measured[f"val/{name}_accuracy"] for name in expected} == pytest.approx(expected)
    curve = read_curves(folder)["val/linear_accuracy"]
    last = read_checkpoint(folder.checkpoint("last"))
    assert [step for step, _ in curve] == [2 * last["global_step"] // 3 - 1, last["global_step"]]
    assert curve[-1][1] == pytest.approx(expected["linear"])
    assert not set(METRICS) & last["run_end"]["metrics"].keys(), "epoch 3 has not measured it"


def test_a_run_that_ends_by_its_steps_is_evaluated(fit: list[str]) -> None:
    assert main([*fit, "--trainer.max_steps", "3"]) == 0
    assert set(METRICS) <= RunFolder(Path("runs/pretrain/0")).read_metrics()["fit"].keys()


def test_what_is_measured_now_and_then_cannot_choose_the_best_epoch(
    fit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monitored = [*fit, "--trainer.max_epochs", "2", "--monitor", "val/knn_accuracy"]
    assert main([*monitored, "--experiment", "rare"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "monitor 'val/knn_accuracy': it is measured every 5 epochs alone: give probe.every_n_epochs 1" in said
    assert main([*monitored, "--experiment", "each", "--probe.every_n_epochs", "1"]) == 0
    folder = RunFolder(Path("runs/each/0"))
    curve = [value for _, value in read_curves(folder)["val/knn_accuracy"]]
    assert folder.read_metrics()["fit"]["best val/knn_accuracy"] == pytest.approx(max(curve))


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*smaller than the logging interval",
    "ignore:.*but have no `val_dataloader`",
)
def test_loaders_of_ones_own_have_nothing_to_classify(digits_zoo: Path, tmp_path: Path) -> None:
    data = ZooDataModule(digits_zoo, batch_size=8, positives="augment", augmentations=["sign_flip"])
    split = ws.Zoo(digits_zoo)["train"]
    loader = DataLoader(range(16), batch_size=8, collate_fn=lambda rows: (split[rows], split[rows]))
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, logger=TensorBoardLogger(tmp_path), callbacks=[OnlineProbe()],
    )  # fmt: skip
    trainer.fit(ContrastiveTask(DWS.partial(hidden=4, layers=1), embedding=8).build_for(data), loader)
    assert not list(tmp_path.rglob("*.tsv"))
