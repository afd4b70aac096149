"""Means of an epoch are means over its networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from weightspace.cli.main import main
from weightspace.tasks.means import WeightedMean

#: (loss, networks) of each step of the run
SEEN: list[tuple[float, int]] = []


class Recorder(Callback):
    """Notes what the steps returned."""

    def on_train_epoch_start(self, trainer, module) -> None:
        SEEN.clear()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        SEEN.append((float(outputs["loss"]), len(batch)))


def test_the_training_loss_of_an_epoch_is_its_mean(
    digits_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_means  # the module that the command line imports

    backbone = {"class_path": "MLP", "init_args": {"hidden": 8}}
    arguments = {"backbone": backbone, "learning_rate": 0.05}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": arguments},
        "data": {"zoo": str(digits_zoo), "batch_size": 50},  # of 180 networks: the last batch is smaller
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "log_every_n_steps": 1},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", "x.yaml", "--trainer.callbacks+=test_means.Recorder"]) == 0
    assert [count for _, count in test_means.SEEN] == [50, 50, 50, 30]
    mean = sum(loss * count for loss, count in test_means.SEEN) / 180
    found = json.loads(Path("runs/x/0/metrics.json").read_text())["fit"]
    assert found["train/loss"] == pytest.approx(mean)
    assert found["train/loss"] != pytest.approx(test_means.SEEN[-1][0], rel=1e-3)
    assert "train/loss_step" not in found
    said = capsys.readouterr().out
    assert f"train/loss {mean:.4g}" in said
    assert "loss_step" not in said
    events = EventAccumulator("runs/x/0").Reload()
    assert events.Scalars("train/loss")[-1].value == pytest.approx(mean)
    assert events.Scalars("train/loss_step")[-1].value == pytest.approx(test_means.SEEN[-1][0])


def test_half_precision_is_counted_in_more() -> None:
    mean = WeightedMean(torch.bfloat16)
    for _ in range(1000):
        mean.update(torch.tensor(1.0, dtype=torch.bfloat16), 1)
    assert (mean.compute().dtype, float(mean.compute()), float(mean.count)) == (torch.float32, 1.0, 1000.0)


def test_means_that_are_not_finite_are_left_out_where_their_steps_are() -> None:
    whole, finite = WeightedMean(), WeightedMean()
    for value, count in ((1.0, 3), (float("nan"), 5), (float("inf"), 2), (5.0, 1)):
        whole.update(torch.tensor(value), count)
        finite.update(torch.tensor(value), count, finite=True)
    assert float(finite.compute()) == 2.0
    assert not whole.compute().isfinite()
