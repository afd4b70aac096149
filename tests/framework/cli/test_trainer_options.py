"""Lightning's options and callbacks by name: each works, or is refused in one sentence."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import yaml
from weightspace.cli.main import main
from weightspace.cli.trainer_options import REFUSED as REFUSED_CALLBACKS


@pytest.fixture
def fit(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("sizes_of_others.py").write_text("def size(batch):\n    return len(batch)\n")
    backbone = {"class_path": "MLP", "init_args": {"hidden": 4}}
    config: dict[str, Any] = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo)},
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": 2},
    }

    def run(trainer: dict[str, Any], *options: str) -> int:
        Path("small.yaml").write_text(yaml.safe_dump({**config, "trainer": {**config["trainer"], **trainer}}))
        return main(["fit", "-c", "small.yaml", *options])

    return run


def callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"callbacks": [{"class_path": name, "init_args": arguments}]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "endless": ({"max_epochs": -1, "max_time": "00:00:00:02"}, "give trainer.max_epochs or trainer.max_steps"),
    "barebones": ({"barebones": True}, "trainer.barebones switches off what a run leaves behind"),
    "transformer-engine": ({"precision": "transformer-engine"}, "transformer_engine"),
    "BackboneFinetuning": (callback("BackboneFinetuning"), "FineTuneTask with mode linear or frozen"),
    "BaseFinetuning": (callback("BaseFinetuning"), "name one that is derived from it"),
    "BasePredictionWriter": (callback("BasePredictionWriter"), "name one of yours that is derived from it"),
    "ProgressBar": (callback("ProgressBar"), "take TQDMProgressBar or RichProgressBar"),
    "AsyncCheckpointIO": (
        {"plugins": ["lightning.pytorch.plugins.AsyncCheckpointIO"]},
        "trainer.plugins: AsyncCheckpointIO",
    ),
    "LearningRateFinder": (callback("LearningRateFinder"), "several --model.init_args.learning_rate"),
    "ModelPruning": (callback("ModelPruning", pruning_fn="l1_unstructured"), "after training"),
    "SpikeDetection": (callback("SpikeDetection"), "--nonfinite stop"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_one_sentence(fit, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    trainer, message = REFUSED[case]
    assert fit(trainer) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(Path().glob("runs/**/*.ckpt"))


TRIED: list[dict[str, Any]] = [
    {"max_time": "00:01:00:00", "min_epochs": 1, "min_steps": 1, "num_sanity_val_steps": 0, "gradient_clip_val": 1.0},
    {"max_epochs": -1, "max_steps": 2, "accumulate_grad_batches": 2, "deterministic": True, "benchmark": False},
    {"overfit_batches": 2, "limit_train_batches": None, "detect_anomaly": True, "inference_mode": False},
    {"val_check_interval": 1, "limit_val_batches": 1, "log_every_n_steps": 1, "enable_model_summary": True},
    {"precision": "bf16-mixed", "profiler": "simple", "sync_batchnorm": True, "reload_dataloaders_every_n_epochs": 1},
    {"check_val_every_n_epoch": 2, "max_epochs": 2, "enable_checkpointing": False, "logger": True},
    {"callbacks": [
        {"class_path": "StochasticWeightAveraging", "init_args": {"swa_lrs": 0.01}}, {"class_path": "Timer"},
        {"class_path": "TQDMProgressBar"}, {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss"}},
        {"class_path": "GradientAccumulationScheduler", "init_args": {"scheduling": {0: 2}}},
    ]},
    {"callbacks": [{"class_path": name} for name in ("ModelSummary", "LambdaCallback", "EMAWeightAveraging")]},
    {"log_every_n_steps": 1, "callbacks": [
        {"class_path": "ThroughputMonitor", "init_args": {"batch_size_fn": "sizes_of_others.size"}},
        *({"class_path": name} for name in ("RichProgressBar", "RichModelSummary", "WeightAveraging",
                                            "LearningRateMonitor", "Callback", "Checkpoint")),
    ]},
    {"callbacks": [
        {"class_path": "OnExceptionCheckpoint", "init_args": {"dirpath": "exceptions"}},
        {"class_path": "ModelCheckpoint", "init_args": {"monitor": "val/loss", "filename": "mine"}},
        {"class_path": "BatchSizeFinder", "init_args": {"max_trials": 2}},
        {"class_path": "DeviceStatsMonitor", "init_args": {"cpu_stats": False}},
    ]},
]  # fmt: skip


def test_every_callback_of_lightning_was_tried() -> None:
    tried = {callback["class_path"] for trainer in TRIED for callback in trainer.get("callbacks", [])}
    assert tried.isdisjoint(REFUSED_CALLBACKS)
    assert tried | set(REFUSED_CALLBACKS) == set(lightning.pytorch.callbacks.__all__)
    assert set(REFUSED_CALLBACKS) <= set(REFUSED)
    words = set(re.findall(r"\w+", (Path(__file__).parents[3] / "docs" / "running.md").read_text(encoding="utf-8")))
    assert set(lightning.pytorch.callbacks.__all__) <= words


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trainer", TRIED, ids=lambda trainer: json.dumps(trainer)[:60])
def test_what_works(fit, trainer: dict[str, Any]) -> None:
    assert fit(trainer) == 0
    if trainer.get("enable_checkpointing", True):
        assert main(["validate", "-c", "runs/small/0/config.yaml"]) == 0
        assert main(["fit", "-c", "runs/small/0/config.yaml", "--seed_everything", "1"]) == 0


MODULE = """
import lightning.pytorch as pl
import torch


class Plain(pl.LightningModule):
    def configure_model(self):
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        return self.layer(batch.params[:, :1]).square().mean()

    def validation_step(self, batch, index):
        self.log("val_loss", batch.params.mean(), batch_size=len(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
"""


def test_the_monitor_is_looked_for_before_training(
    fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "module_of_others.py").write_text(MODULE)
    model = ["--model", "module_of_others.Plain"]
    assert fit({}, *model) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "Plain does not log it in validation: give one that it logs as monitor" in err
    assert "Logged: val_loss" in err
    assert not list(Path().glob("runs/**/*.ckpt"))
    assert fit({}, *model, "--monitor", "val_loss", "--overwrite", "true") == 0


MISSED: dict[str, tuple[dict[str, Any], str]] = {
    "EarlyStopping": (
        callback("EarlyStopping", monitor="val/acuracy"),
        "monitor 'val/acuracy' is monitored by EarlyStopping, but SupervisedTask does not log it in validation: give "
        "one that it logs as its monitor (or num_sanity_val_steps 0, if it is logged from the first epoch on). "
        "Logged: val/accuracy, val/loss",
    ),
    "ModelCheckpoint": (
        callback("ModelCheckpoint", monitor="val_loss", filename="mine"),
        "monitor 'val_loss' is monitored by ModelCheckpoint",
    ),
    "no trial": (
        callback("EarlyStopping", monitor="val/acuracy") | {"num_sanity_val_steps": 0, "val_check_interval": 1},
        "error: Early stopping conditioned on metric `val/acuracy` which is not available",
    ),
    "no validation": (
        callback("EarlyStopping", monitor="val/loss") | {"limit_val_batches": 0},
        "does not log it in validation, but there is no validation",
    ),
    "of the training": (
        callback("EarlyStopping", monitor="train/los"),
        "error: Early stopping conditioned on metric `train/los` which is not available",
    ),
    "DeviceStatsMonitor": (
        callback("DeviceStatsMonitor", cpu_stats=True),
        "trainer.callbacks: DeviceStatsMonitor needs psutil, which is not installed: pip install psutil, or give it "
        "cpu_stats: false",
    ),
}


@pytest.mark.parametrize("case", MISSED)
def test_what_callbacks_need_is_looked_for(
    fit, case: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)  # as where it is not installed
    trainer, message = MISSED[case]
    assert fit(trainer) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert bool(list(Path().glob("runs/**/*.ckpt"))) == ("Early stopping conditioned" in message)  # after an epoch


def test_one_callback_needs_no_list(fit, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit({"callbacks": callback("LearningRateFinder")["callbacks"][0]}) == 2
    assert "several --model.init_args.learning_rate" in " ".join(capsys.readouterr().err.split())
    assert fit({"callbacks": callback("EarlyStopping", monitor="val/loss")["callbacks"][0]}) == 0


def test_a_callback_may_do_without_its_metric(fit) -> None:
    assert fit(callback("EarlyStopping", monitor="val/acuracy", strict=False)) == 0


WRITER = """
from pathlib import Path

from lightning.pytorch.callbacks import BasePredictionWriter


class Writer(BasePredictionWriter):
    def write_on_batch_end(self, trainer, module, prediction, batch_indices, batch, batch_idx, dataloader_idx):
        Path("written").write_text(str(len(prediction["object"])))
"""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*Couldn't infer the batch indices")
def test_a_writer_of_predictions_writes(fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("writer_of_others.py").write_text(WRITER)
    assert fit(callback("writer_of_others.Writer")) == 0
    assert main(["predict", "-c", "small.yaml"]) == 0
    assert Path("written").read_text() == "20"
