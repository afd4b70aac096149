"""Runs that have ended: why, that they stay as they are, and what makes them go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from weightspace.cli.main import main
from weightspace.runs.folder import RunFolder

MODULE = """
import os
from lightning.pytorch import Callback

class Rises(Callback):
    def on_validation_epoch_end(self, trainer, module):
        module.log("val/count", float(trainer.current_epoch))

class Stops(Callback):
    def __init__(self, after: int = 2):
        self.after = after

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == self.after:
            trainer.should_stop = True

class Killed(Callback):
    def on_train_end(self, trainer, module):
        raise RuntimeError("killed")
"""
RISES = {"class_path": "ends.Rises"}


@pytest.fixture
def fit(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of a small run with 4 steps in an epoch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("ends.py").write_text(MODULE)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo), "n_views": 1, "batch_size": 16},
        "trainer": {"accelerator": "cpu", "max_epochs": 4},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "-c", "x.yaml"]


def callbacks(*others: dict) -> list[str]:
    return ["--trainer.callbacks", json.dumps([RISES, *others])]


def early(patience: int) -> dict:
    return {"class_path": "EarlyStopping", "init_args": {"monitor": "val/count", "patience": patience}}


def content(runs: str = "runs") -> dict[str, bytes]:
    """Every file of the run."""
    return {str(p.relative_to(runs)): p.read_bytes() for p in Path(runs).rglob("*") if p.is_file()}


def steps(runs: str = "runs") -> int:
    return int(RunFolder(Path(runs) / "x/0").steps()[-1].stem.removeprefix("step-"))


def test_an_early_stopped_run_stays_as_it_is_until_the_patience_changes(
    fit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*fit, *callbacks(early(1))]) == 0
    why = "EarlyStopping: Monitored metric val/count did not improve in the last 1 records"
    assert f"ended, after 2 epochs: {why}" in " ".join(capsys.readouterr().out.split())
    before = content()
    for options in (["--auto_resume", "true"], ["--ckpt_path", "last"]):
        assert main([*fit, *callbacks(early(1)), *options]) == 0
        assert f"finished already, after 2 epochs: {why}" in " ".join(capsys.readouterr().out.split())
        assert content() == before
    assert main([*fit, *callbacks(early(2)), "--ckpt_path", "last"]) == 0
    assert "ended, after 3 epochs" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="Please add the following callbacks"):  # Lightning's
        assert main([*fit, *callbacks(), "--ckpt_path", "last"]) == 0
    assert steps() == 4 * 4


def test_limits_that_are_raised_go_on(fit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*fit, "--trainer.max_steps", "6"]) == 0
    before = content()
    assert main([*fit, "--trainer.max_steps", "6", "--auto_resume", "true"]) == 0
    assert "finished already, after 2 epochs: trainer.max_steps is 6" in capsys.readouterr().out
    assert content() == before
    assert main([*fit, "--trainer.max_steps", "7", "--auto_resume", "true"]) == 0
    assert steps() == 7


def test_a_run_that_is_killed_after_its_last_checkpoint_comes_to_the_same_end_without_training(fit: list[str]) -> None:
    killed = {"class_path": "ends.Killed"}
    with pytest.raises(RuntimeError, match="killed"):
        main([*fit, *callbacks(early(1), killed), "--runs", "cut"])
    assert not Path("cut/x/0/metrics.json").exists()
    checkpoint = RunFolder(Path("cut/x/0")).steps()[-1].read_bytes()
    assert main([*fit, *callbacks(early(1)), "--runs", "cut", "--ckpt_path", "last"]) == 0
    assert RunFolder(Path("cut/x/0")).steps()[-1].read_bytes() == checkpoint
    assert main([*fit, *callbacks(early(1)), "--runs", "whole"]) == 0
    cut, whole = (RunFolder(Path(runs) / "x/0") for runs in ("cut", "whole"))
    assert cut.read_ending() == whole.read_ending()
    timed = {"seconds", "networks_per_second"}
    assert cut.read_metrics()["fit"] == {k: v for k, v in whole.read_metrics()["fit"].items() if k not in timed}


@pytest.mark.long
def test_whoever_asks_to_stop_is_named(fit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def stops(after: int) -> list[str]:
        return callbacks({"class_path": "ends.Stops", "init_args": {"after": after}})

    assert main([*fit, *stops(2)]) == 0
    assert "ended, after 1 epochs: Stops asked to stop" in capsys.readouterr().out
    assert main([*fit, *stops(2), "--ckpt_path", "last"]) == 0
    assert "finished already, after 1 epochs: Stops asked to stop" in capsys.readouterr().out
    assert main([*fit, *stops(100), "--ckpt_path", "last"]) == 0
    assert steps() > 2


@pytest.mark.long
def test_a_run_that_is_cut_before_its_least_epochs_ends_as_one_that_was_not(fit: list[str]) -> None:
    options = [*callbacks(early(1)), "--trainer.min_epochs", "3"]  # it is asked to stop after two
    assert main([*fit, *options, "--runs", "whole"]) == 0
    assert main([*fit, *options, "--runs", "cut", "--trainer.max_epochs", "2"]) == 0
    assert main([*fit, *options, "--runs", "cut", "--ckpt_path", "last"]) == 0
    assert (steps("cut"), steps("whole")) == (12, 12)
    states = [
        torch.load(RunFolder(Path(runs) / "x/0").steps()[-1], weights_only=True)["run_end"]["stopped"]
        for runs in ("cut", "whole")
    ]
    assert states[0] == states[1]


def test_the_first_configuration_is_kept_and_what_changes_is_told(
    fit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("runs/x/0")
    chain = ["--data.augmentations", "[sign_flip, {mixup: {alpha: 0.4}}]"]
    assert main([*fit, *chain, "--trainer.max_epochs", "1"]) == 0
    before = [(folder / name).read_bytes() for name in ("config.yaml", "provenance.json")]
    other = ["--data.augmentations", "[{mixup: {alpha: 0.2}}]", "--ckpt_path", "last"]
    assert main([*fit, *other, "--trainer.max_epochs", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "data.augmentations.mixup.alpha: 0.4 before, 0.2 now" in said
    assert "trainer.max_epochs: 1 before, 2 now" in said
    assert [(folder / name).read_bytes() for name in ("config.yaml", "provenance.json")] == before
    names = {path.name for path in folder.iterdir()}
    assert {"config-2.yaml", "provenance-2.json"} <= names
    assert not {"config-3.yaml", "provenance-3.json"} & names
