from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from weightspace.backbones import MLP, embed
from weightspace.batch import WeightBatch
from weightspace.callbacks import standard_callbacks
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.network import evaluate, grid
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.tasks import FineTuneTask, ReconstructionTask
from weightspace.tasks.read_back import ReadBack
from weightspace.testing.small_zoo import small_zoo

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*no last checkpoint available",
    "ignore:.*smaller than the logging interval",
)
BACKBONE = MLP.partial(hidden=32, layers=1)
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip


def task(**options: Any) -> ReconstructionTask:
    pl.seed_everything(0, verbose=False)
    options = {"embedding": 16, "points": 64, "width": 32, "depth": 2, "frequency": 3.0, **options}
    return ReconstructionTask(options.pop("backbone", BACKBONE), **options)


def fitted(made: ReconstructionTask, epochs: int, zoo: Path | None = None, **data: Any) -> pl.Trainer:
    trainer = pl.Trainer(max_epochs=epochs, enable_checkpointing=False, **QUIET)
    trainer.fit(made, ZooDataModule(zoo or small_zoo("class"), **{"batch_size": 8, **data}))
    return trainer


@pytest.mark.parametrize(
    ("options", "data"), [({}, {}), ({"contrastive": 0.1}, {"positives": "views"})], ids=["alone", "with pairs"]
)
def test_a_few_networks_are_read_back_at_points_that_were_never_drawn(
    options: dict[str, Any], data: dict[str, Any]
) -> None:
    large = {"backbone": MLP.partial(hidden=64, layers=2), "embedding": 32, "width": 64, "depth": 3, "points": 128}
    made = task(learning_rate=4e-3, **large, **options)
    trainer = fitted(made, 60, **data)
    batch, points = ZooDataModule(small_zoo("class")).training_batch(), grid(9, 9)
    targets = evaluate(batch, points)
    with torch.no_grad():
        error = float((made.eval().reconstruct(batch, points) - targets).square().mean())
    assert error < 0.15 * float(targets.var())
    measured = trainer.callback_metrics
    assert {f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", "mse", "psnr")} <= set(measured)
    assert ("val/contrastive" in measured) == bool(options)


def test_errors_are_of_the_networks_that_are_given_in_units_of_the_outputs(random_batch: Callable) -> None:
    batch, points = random_batch(), torch.rand(7, 2, dtype=torch.float64)
    back = ReadBack(batch.spec, 5, width=4, depth=2, frequency=2.0).double()
    back.fit([batch], points, (0.0, 2.0))
    params = batch.params.clone().requires_grad_()
    embeddings = torch.randn(len(batch), 5, dtype=torch.float64).requires_grad_()
    errors = back.errors(embeddings, batch.replace(params=params), points)
    errors.sum().backward()
    assert params.grad is None
    assert embeddings.grad.abs().min() > 0
    outputs = evaluate(batch, points)
    difference = back(embeddings, points) - outputs
    variance = outputs.flatten(0, 1).var(0, correction=0)
    assert torch.allclose(errors, difference.square().mean(1) / variance)
    measures = back.measures(errors)
    single = difference.square().mean((1, 2)) / 4  # 0 and 1 of objects are outputs 0 and 2
    assert torch.allclose(measures["mse"], single.mean())
    assert torch.allclose(measures["psnr"], -10 * single.log10().mean())


def test_points_of_their_own_are_those_that_networks_share(random_batch: Callable) -> None:
    spec, points = random_batch().spec, torch.rand(6, 7, 2)
    back, embeddings = ReadBack(spec, 5, width=4, depth=2, frequency=2.0), torch.randn(6, 5)
    together = back(embeddings, points)
    for row in range(6):
        assert torch.allclose(together[row], back(embeddings, points[row])[row], atol=1e-6)


class Compared(pl.Callback):
    """Compares the first step's embeddings with what the networks of the batch compute, and those of the zoo."""

    @torch.no_grad()
    def on_train_batch_start(self, trainer: Any, pl_module: ReconstructionTask, batch: WeightBatch, *_: Any) -> None:
        zoo = trainer.datamodule.training_batch()
        same = (zoo.objects == batch.objects[:, None]) & (zoo.views == batch.views[:, None])
        embeddings, points = pl_module(batch), pl_module._draw(batch)
        networks = (batch, zoo[same.int().argmax(1)])
        self.errors = [float(pl_module.read_back.errors(embeddings, b, points).mean()) for b in networks]


def test_a_turned_network_is_read_back_turned() -> None:
    compared = Compared()
    trainer = pl.Trainer(max_steps=1, enable_checkpointing=False, callbacks=[compared], limit_val_batches=0, **QUIET)
    turned = ZooDataModule(small_zoo("class"), batch_size=32, augmentations=[{"rotate": {"degrees": "haar"}}])
    trainer.fit(task(), turned)
    own, other = compared.errors
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(own, rel=1e-6)
    assert other != pytest.approx(own, rel=1e-3)


def test_its_encoder_is_fine_tuned(digits_zoo: Path, tmp_path: Path) -> None:
    made = task()
    pl.Trainer(max_epochs=1, callbacks=standard_callbacks(tmp_path), **QUIET).fit(made, ZooDataModule(digits_zoo))
    assert {"encoder.safetensors", "encoder_best.safetensors"} <= {path.name for path in tmp_path.iterdir()}
    tuned = FineTuneTask(BACKBONE, encoder=tmp_path / "encoder.safetensors", embedding=16, mode="linear")
    data = ZooDataModule(digits_zoo)
    pl.Trainer(max_epochs=1, enable_checkpointing=False, **QUIET).fit(tuned, data)
    batch = data.evaluation_batch("val")
    assert torch.equal(embed(tuned.encoder, batch), embed(made.encoder, batch))


def test_a_run_with_pairs_is_probed(digits_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {"backbone": "MLP", "contrastive": 0.5, "pair_loss": {"loss": "vicreg", "weights": [25, 25, 1]}}
    config = {
        "model": {"class_path": "weightspace.tasks.ReconstructionTask", "init_args": arguments},
        "data": {"zoo": str(digits_zoo), "positives": "both", "augmentations": ["permute"]},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", "x.yaml"]) == 0
    found = RunFolder(Path("runs/x/0")).read_metrics()["fit"]
    probed = {"val/knn_accuracy", "val/linear_accuracy"}
    assert probed | {"best val/mse", "val/psnr", "val/variance", "val/uniformity"} <= set(found)
    assert Path("runs/x/0/encoder_best.safetensors").exists()


class Cut(pl.Callback):
    """Ends a run within its second epoch, as a failure does."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 12:
            raise RuntimeError("cut")


def test_a_resumed_run_draws_the_points_of_one_that_was_not_cut(digits_zoo: Path, tmp_path: Path) -> None:
    def fit(folder: Path, *others: pl.Callback) -> None:
        callbacks = [*others, *standard_callbacks(folder, every_n_steps=5)]
        data = ZooDataModule(digits_zoo, batch_size=8, n_views=1, augmentations=["gaussian_noise"])
        pl.Trainer(max_epochs=2, callbacks=callbacks, **QUIET).fit(task(), data, ckpt_path="last")

    with pytest.raises(RuntimeError, match="cut"):
        fit(tmp_path / "cut", Cut())
    fit(tmp_path / "cut")
    fit(tmp_path / "whole")
    runs = [RunFolder(tmp_path / name) for name in ("cut", "whole")]
    cut, whole = (read_checkpoint(run.checkpoint("last"))["state_dict"] for run in runs)
    assert all(torch.equal(cut[name], whole[name]) for name in whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 0}, "ReconstructionTask: points must be at least 1, found 0"),
        ({"width": 0}, "width must be at least 1"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"frequency": 0}, "frequency must be > 0"),
        ({"contrastive": -1.0}, "contrastive must be at least 0"),
        ({"pair_loss": {"loss": "vicreg"}}, "pair_loss would be ignored with contrastive 0"),
        ({"contrastive": 1.0, "pair_loss": {"temperatur": 1}}, "no option temperatur: did you mean 'temperature'"),
        ({"contrastive": 1.0, "pair_loss": {"temperature": 0}}, "pair_loss: temperature must be > 0"),
        ({"contrastive": 1.0, "pair_loss": ["vicreg"]}, "pair_loss must be a mapping of options"),
    ],
)
def test_bad_options_say_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**options)


@pytest.mark.parametrize(
    ("arguments", "data", "message"),
    [
        ({}, {"zoo": "classifiers"}, "4-6-3 relu, are classifiers: take ContrastiveTask"),
        ({}, {"positives": "views"}, "contrastive 0 makes no use of pairs (data.positives views)"),
        ({"contrastive": 1.0}, {}, "learns from pairs: set data.positives"),
        ({"contrastive": 1.0}, {"positives": "augment"}, "nothing that changes networks"),
        ({"points": 0}, {}, "points must be at least 1"),
    ],
)
def test_what_cannot_be_read_back_stops_before_anything_is_written(
    arguments: dict[str, Any], data: dict[str, Any], message: str, digits_zoo: Path, classifier_zoo: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    zoo = classifier_zoo if "zoo" in data else digits_zoo
    config = {
        "model": {"class_path": "weightspace.tasks.ReconstructionTask", "init_args": {"backbone": "MLP", **arguments}},
        "data": {**data, "zoo": str(zoo)},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", "x.yaml"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert said.count("error") == 1
    assert not Path("runs").exists()
