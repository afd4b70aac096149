"""The best checkpoint: of moved runs, of earlier versions, several of them, and beside a user's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from weightspace.backbones.artefact import load_backbone
from weightspace.callbacks import BestCheckpoint
from weightspace.cli.main import main
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.runs.curves import read_curves
from weightspace.runs.folder import RunFolder

COUNTS = """
import os
from lightning.pytorch import Callback

class Counts(Callback):
    def on_validation_epoch_end(self, trainer, module):
        module.log("val/count", float(os.environ.get("SIGN", "1")) * trainer.current_epoch)
"""
OWN = (
    "--trainer.callbacks+={class_path: ModelCheckpoint, init_args: {monitor: val/accuracy, mode: max, filename: mine}}"
)


@pytest.fixture
def fit(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of a small run that is best in its first epoch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("counts.py").write_text(COUNTS)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo), "n_views": 1, "batch_size": 16},
        "trainer": {"accelerator": "cpu", "callbacks": [{"class_path": "counts.Counts"}]},
        "monitor": "val/count",
        "monitor_mode": "min",
    }
    Path("best.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "-c", "best.yaml", "--trainer.max_epochs"]


def test_a_moved_run_goes_on_to_the_bytes_of_one_that_was_not(fit: list[str]) -> None:
    assert main([*fit, "1", OWN]) == 0
    shutil.copytree("runs", "moved")
    for runs in ("runs", "moved"):
        assert main([*fit, "3", OWN, "--runs", runs, "--ckpt_path", "last"]) == 0
    stayed, moved = RunFolder(Path("runs/best/0")), RunFolder(Path("moved/best/0"))
    assert read_checkpoint(moved.checkpoint("best"))["epoch"] == 0
    assert stayed.read_metrics()["fit"]["best val/count"] == moved.read_metrics()["fit"]["best val/count"]
    assert (stayed.checkpoints / "best.ckpt").read_bytes() == (moved.checkpoints / "best.ckpt").read_bytes()
    states = [read_checkpoint(folder.checkpoint("last")) for folder in (stayed, moved)]
    assert str(states[0]["callbacks"]["BestCheckpoint"]) == str(states[1]["callbacks"]["BestCheckpoint"])
    (own,) = [state for key, state in states[1]["callbacks"].items() if key.startswith("ModelCheckpoint")]
    assert (Path(own["dirpath"]).resolve(), Path(own["best_model_path"]).name) == (
        moved.checkpoints.resolve(),
        "mine.ckpt",
    )


def test_a_checkpoint_of_the_user_works_beside_ours(fit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*fit, "1", OWN, "--monitor", "val/accuracy"]) == 0  # the same metric as ours
    folder = RunFolder(Path("runs/best/0"))
    assert {path.name for path in folder.checkpoints.iterdir()} >= {"best.ckpt", "mine.ckpt"}
    assert main([*fit, "1", OWN.replace("val/accuracy", "val/loss"), "--overwrite", "true"]) == 0
    assert "best val/count" in folder.read_metrics()["fit"]
    for name in ("best", "step-last"):
        capsys.readouterr()
        assert main([*fit, "1", OWN.replace("mine", name), "--overwrite", "true"]) == 2
        assert "give it another filename, or a dirpath" in " ".join(capsys.readouterr().err.split())


def test_the_best_ones_are_kept(fit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(Path("runs/best/0"))
    monitor = ["--monitor_mode", "max"]  # the last are the best
    assert main([*fit, "2", *monitor]) == 0
    assert main([*fit, "4", *monitor, "--ckpt_path", "last", "--checkpoints.top_k", "2"]) == 0
    names = sorted(path.name for path in folder.checkpoints.glob("top-*"))
    assert [name.rpartition("-")[0] for name in names] == ["top-00000012", "top-00000016"]
    best = folder.read_metrics()["fit"]["best val/count"]
    assert names[1] == f"top-00000016-{best:.4f}.ckpt"
    assert (folder.checkpoints / names[1]).read_bytes() == (folder.checkpoints / "best.ckpt").read_bytes()
    assert main([*fit, "5", *monitor, "--ckpt_path", "last"]) == 0
    assert read_checkpoint(folder.checkpoint("best"))["global_step"] == 20
    assert not list(folder.checkpoints.glob("top-*"))
    assert main([*fit, "4", "--overwrite", "true", "--checkpoints.top_k", "0"]) == 2
    assert "checkpoints.top_k must be at least 1, found 0" in capsys.readouterr().err


def best_file_is_the_best(folder: RunFolder) -> bool:
    best = read_checkpoint(folder.checkpoint("best"))["state_dict"]
    file = load_backbone(folder.path / "backbone_best.safetensors").state_dict()
    return all(torch.equal(best[f"backbone.{name}"], tensor) for name, tensor in file.items())


def test_the_file_of_the_best_network_is_that_of_the_best_checkpoint(fit: list[str]) -> None:
    folder = RunFolder(Path("runs/best/0"))
    assert main([*fit, "2"]) == 0
    assert best_file_is_the_best(folder)
    (folder.path / "backbone_best.safetensors").unlink()  # as where the process was killed before it
    for checkpoint in ("best", "last"):
        assert main([*fit, "3", "--ckpt_path", checkpoint]) == 0
        assert read_checkpoint(folder.checkpoint("best"))["epoch"] == 0
        assert best_file_is_the_best(folder)


@pytest.mark.parametrize(("top_k", "best", "score"), [("1", 12, -2.0), ("2", 8, 1.0)])
def test_the_best_of_an_abandoned_continuation_is_not_that_of_the_run(
    fit: list[str], top_k: str, best: int, score: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(Path("runs/best/0"))
    options = ["3", "--monitor_mode", "max", "--checkpoints.top_k", top_k]
    assert main([*fit, *options]) == 0
    assert read_checkpoint(folder.checkpoint("best"))["global_step"] == 12
    monkeypatch.setenv("SIGN", "-1")  # what follows step 8 is worse than all before
    assert main([*fit, *options, "--ckpt_path", str(folder.step(8))]) == 0
    assert read_checkpoint(folder.checkpoint("best"))["global_step"] == best
    assert folder.read_metrics()["fit"]["best val/count"] == score
    assert best_file_is_the_best(folder)
    if top_k == "1":
        assert torch.equal(*(flat(read_checkpoint(folder.checkpoint(name))) for name in ("best", "last")))


@pytest.mark.parametrize(
    ("monitor", "options", "mode"),
    [
        ("val/loss", [], "min"),
        ("val/accuracy", [], "max"),  # the task's own
        ("val/count", [], "max"),
        ("val/loss", ["--monitor_mode", "max"], "max"),
    ],
)
def test_less_of_a_loss_is_better(fit: list[str], monitor: str, options: list[str], mode: str) -> None:
    config = yaml.safe_load(Path("best.yaml").read_text())
    del config["monitor"], config["monitor_mode"]
    Path("best.yaml").write_text(yaml.safe_dump(config))
    assert main([*fit, "3", "--monitor", monitor, *options]) == 0
    folder = RunFolder(Path("runs/best/0"))
    values = [value for _, value in read_curves(folder)[monitor]]
    best = {"min": min, "max": max}[mode](values)
    assert folder.read_metrics()["fit"][f"best {monitor}"] == pytest.approx(best)
    assert read_checkpoint(folder.checkpoint("best"))["epoch"] == values.index(best)


def flat(checkpoint: dict[str, Any]) -> torch.Tensor:
    return torch.cat([tensor.flatten().double() for tensor in checkpoint["state_dict"].values()])


def test_the_state_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    best = BestCheckpoint(folder, "val/accuracy")
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[best], enable_progress_bar=False)
    path, score = "/elsewhere/runs/x/0/checkpoints/best.ckpt", torch.tensor(0.7)
    before = {
        "monitor": "val/accuracy", "best_model_score": score, "best_model_path": path, "current_score": score,
        "dirpath": "/elsewhere/runs/x/0/checkpoints", "best_k_models": {path: score}, "kth_best_model_path": path,
        "kth_value": score, "last_model_path": "",
    }  # fmt: skip
    checkpoint = {"callbacks": {"ModelCheckpoint{'monitor': 'val/accuracy', 'mode': 'max'}": before}}
    best.on_load_checkpoint(trainer, pl.LightningModule(), checkpoint)
    best.load_state_dict(checkpoint["callbacks"][best.state_key])
    assert best.best_model_score == score
    assert best.best_k_models == {str(folder.checkpoints / "best.ckpt"): score}
