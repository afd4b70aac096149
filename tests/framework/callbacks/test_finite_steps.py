"""Training that comes to numbers that are not finite, by a rate that is too high."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from warm import WarmCommand
from weightspace.cli.main import main
from weightspace.runs.folder import RunFolder
from weightspace.zoo import Zoo


@pytest.fixture
def experiment(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    arguments = {"backbone": backbone, "learning_rate": 1e30, "warmup": 0.0}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": arguments},
        "data": {"zoo": str(digits_zoo), "batch_size": 32},
        "trainer": {"max_epochs": 2, "accelerator": "cpu"},
        "checkpoints": {"every_n_steps": 1},
    }
    path = tmp_path / "nan.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("devices", ["1", "2"])
def test_the_run_stops_before_its_weights_are_harmed(experiment: Path, zoo: Zoo, devices: str) -> None:
    with WarmCommand("fit", "-c", "nan.yaml", "--trainer.devices", devices) as running:
        said = " ".join(running.communicate()[1].split())
    assert running.returncode == 2, said
    folder = RunFolder(Path("runs/nan/0"))
    last = folder.checkpoint("last")
    step = int(last.stem.removeprefix("step-"))
    assert f"step {step} (epoch 0) was not made: its loss is nan. Of its 32 networks" in said
    assert "their own weights are all finite. The last good" in said
    assert f"The last good checkpoint is {last}" in said
    assert "(--nonfinite skip)" in said
    state = torch.load(last, weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in state.values() if isinstance(tensor, torch.Tensor))
    named = set()
    for path in sorted((folder.path / "nonfinite").glob(f"step-{step:08d}-process-*.json")):
        found = json.loads(path.read_text())
        assert (found["step"], found["losses"]) == (step, ["nan"])
        named |= {(network["object"], network["view"]) for network in found["networks"]}
    rows = zoo.rows("train")
    known = set(zip(zoo.objects[rows].tolist(), zoo.views[rows].tolist(), strict=True))
    assert len(named) == 32 * int(devices)
    assert named <= known
    assert not folder.metrics_file.exists()


def test_steps_are_skipped_and_counted_where_asked(experiment: Path) -> None:
    assert main(["fit", "-c", "nan.yaml", "--nonfinite", "skip"]) == 0
    folder = RunFolder(Path("runs/nan/0"))
    metrics = json.loads(folder.metrics_file.read_text())["fit"]
    skipped = len(list((folder.path / "nonfinite").glob("step-*.json")))
    assert 0 < skipped < 12
    assert metrics["train/skipped_steps"] == skipped
    saved = torch.load(folder.checkpoint("last"), weights_only=True)
    assert saved["callbacks"]["FiniteSteps"] == {"skipped": skipped}
    assert all(t.isfinite().all() for t in saved["state_dict"].values() if isinstance(t, torch.Tensor))
