"""A plain Trainer with the standard callbacks: killed, resumed, tried, and refused what cannot be kept."""

from __future__ import annotations

import random
import signal
import sys
import time
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins import AsyncCheckpointIO
from warm import WarmCommand
from weightspace.backbones import DWS, MLP
from weightspace.backbones.artefact import load_backbone
from weightspace.batch import WeightBatch
from weightspace.callbacks import StepSeeds, run_logger, standard_callbacks
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import AtomicCheckpointIO, GuardedCheckpointIO, read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.tasks import SupervisedTask

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*no last checkpoint available",
    "ignore:.*smaller than the logging interval",
    "ignore:.*multiple `ModelCheckpoint` callbacks",
)
STEPS = 8  # of an epoch of 60 networks in batches of 8
CHAIN: list[Any] = ["sign_flip", {"gaussian_noise": {"scale": 0.4, "ramp_epochs": 3}}, "mixup"]


def task() -> SupervisedTask:
    """Draws of every kind: initialisation, order, augmentations with a state, dropout."""
    pl.seed_everything(0, verbose=False)
    return SupervisedTask(partial(DWS, hidden=4, layers=1, dropout=0.3))


def data(zoo: str | Path, n_views: int = 1) -> ZooDataModule:
    return ZooDataModule(str(zoo), batch_size=8, n_views=n_views, augmentations=CHAIN)


def plain(folder: str | Path, *others: pl.Callback, epochs: int = 1, trainer: Any = None, **options: Any) -> pl.Trainer:
    """A Trainer as a notebook makes it, but for what it prints."""
    callbacks = [*others, *standard_callbacks(folder, **options)]
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    return pl.Trainer(max_epochs=epochs, callbacks=callbacks, **{**quiet, **(trainer or {})})


def train(zoo: str | Path, folder: str | Path, devices: int = 1) -> pl.Trainer:
    several = {"devices": devices, "strategy": "ddp_fork"} if devices > 1 else {}
    made = plain(folder, epochs=2, trainer=several, every_n_steps=5)
    made.fit(task(), data(zoo, n_views=3), ckpt_path="last")
    return made


def validated(folder: RunFolder) -> dict[str, float]:
    """What a fit has measured in validation: means of a training epoch that was cut are those of its last part."""
    return {name: value for name, value in folder.read_metrics()["fit"].items() if "val/" in name}


def killed(zoo: Path, folder: Path, step: int, *options: str) -> None:
    """Trains in a process of its own, and kills that as soon as the checkpoint of a step is there."""
    run = RunFolder(folder)
    with WarmCommand(str(zoo), str(folder), *options, script=__file__) as running:
        while not any(path >= run.step(step) for path in run.steps()):
            assert running.poll() is None, running.communicate()
            time.sleep(0.0005)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert not run.metrics_file.exists()


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_killed_fit_goes_on_to_the_weights_of_one_that_was_not(
    digits_zoo: Path, tmp_path: Path, devices: int
) -> None:
    killed(digits_zoo, tmp_path / "cut", 30 // devices, str(devices))  # within the second epoch of 23 or 12 steps
    for name in ("whole", "cut"):
        if devices == 1:
            train(digits_zoo, tmp_path / name)
        else:
            with WarmCommand(str(digits_zoo), str(tmp_path / name), str(devices), script=__file__) as running:
                _, said = running.communicate()
            assert running.returncode == 0, said
    whole, cut = (RunFolder(tmp_path / name) for name in ("whole", "cut"))
    states = [read_checkpoint(folder.checkpoint("last"))["state_dict"] for folder in (whole, cut)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert "best val/accuracy" in validated(whole)
    assert validated(whole) == validated(cut)
    best = [load_backbone(folder.path / "backbone_best.safetensors").state_dict() for folder in (whole, cut)]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])


def test_what_a_fit_leaves_and_when_its_folder_is_refused(digits_zoo: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    trained = plain(folder.path, epochs=1, trainer={"logger": run_logger(folder.path)})
    trained.fit(task(), data(digits_zoo))
    names = {path.name for path in folder.path.iterdir()}
    assert names >= {
        "provenance.json",
        "metrics.json",
        "ending.json",
        "checkpoints",
        "pictures",
        "backbone.safetensors",
    }
    assert list(folder.path.glob("events.out.tfevents.*"))
    assert {"best.ckpt", folder.step(STEPS).name} == {path.name for path in folder.checkpoints.iterdir()}
    writer = trained.strategy.checkpoint_io
    assert isinstance(writer, GuardedCheckpointIO)
    assert isinstance(writer.writer, AtomicCheckpointIO)
    (scores,) = trained.test(task(), data(digits_zoo), ckpt_path="best", verbose=False)
    assert folder.read_metrics()["test"]["test/accuracy"] == pytest.approx(scores["test/accuracy"])

    before = {path: path.read_bytes() for path in (folder.step(STEPS), folder.metrics_file)}
    plain(folder.path, epochs=1).fit(task(), data(digits_zoo), ckpt_path="last")
    assert before == {path: path.read_bytes() for path in before}, "there was nothing left to train"
    with pytest.raises(ConfigError, match="holds a finished run"):
        plain(folder.path, epochs=1).fit(task(), data(digits_zoo))
    with folder.lock(), pytest.raises(ConfigError, match="another process is training in"):
        plain(folder.path, epochs=2).fit(task(), data(digits_zoo), ckpt_path="last")
    assert before == {path: path.read_bytes() for path in before}

    again = plain(folder.path, epochs=1, overwrite=True, trainer={"logger": run_logger(folder.path)})
    again.fit(task(), data(digits_zoo))
    assert "test" not in folder.read_metrics()
    assert len(list(folder.path.glob("events.out.tfevents.*"))) == 1, "the curves of the run that was removed are gone"


def test_an_early_stopped_fit_stays_so_until_the_patience_changes(digits_zoo: Path, tmp_path: Path) -> None:
    class Rises(pl.Callback):
        def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            module.log("val/count", float(trainer.current_epoch))

    def epochs(patience: int) -> int:
        plain(tmp_path, Rises(), EarlyStopping("val/count", patience=patience), epochs=6).fit(
            task(), data(digits_zoo), ckpt_path="last"
        )
        return int(RunFolder(tmp_path).read_ending()["epochs"])

    assert [epochs(1), epochs(1), epochs(2)] == [2, 2, 3]
    assert RunFolder(tmp_path).read_ending()["reason"].startswith("EarlyStopping: Monitored metric val/count")


def test_a_run_without_a_checkpoint_to_resume_from_begins_again(digits_zoo: Path, tmp_path: Path) -> None:
    class Fails(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            raise RuntimeError("of the first epoch")

    folder, few = RunFolder(tmp_path), {"limit_train_batches": 1}
    with pytest.raises(RuntimeError, match="of the first epoch"):
        plain(folder.path, Fails(), trainer=few).fit(task(), data(digits_zoo))
    assert [path.name for path in folder.checkpoints.iterdir()] == ["best.ckpt"]
    plain(folder.path, trainer=few).fit(task(), data(digits_zoo), ckpt_path="last")
    assert folder.steps() == [folder.step(1)]


def test_a_trial_writes_nothing(digits_zoo: Path, tmp_path: Path) -> None:
    plain(tmp_path / "run", trainer={"fast_dev_run": True}).fit(task(), data(digits_zoo))
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_kept_is_refused_before_anything_is_written(digits_zoo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for made, message in [
        (plain(folder, trainer={"plugins": [AsyncCheckpointIO()]}), "AsyncCheckpointIO writes a checkpoint later"),
        (plain(folder, ModelCheckpoint(folder / "checkpoints", "best")), "give it another filename"),
        (plain(folder, epochs=0), "nothing would be trained"),
        (plain(folder, monitor="val/none"), "give one that it logs as monitor"),
    ]:
        with pytest.raises(ConfigError, match=message):
            made.fit(task(), data(digits_zoo))
        assert not list(tmp_path.glob("**/*.ckpt"))
    with pytest.raises(ConfigError, match="keep"):
        standard_callbacks(folder, keep=0)


def test_the_seed_is_that_of_seed_everything() -> None:
    pl.seed_everything(7, verbose=False)
    for seed, expected in ((None, 7), (3, 3)):
        (seeds,) = (c for c in standard_callbacks("runs/mine", seed=seed) if isinstance(c, StepSeeds))
        assert seeds.seed == expected


def test_fits_in_one_process_do_not_depend_on_each_other(digits_zoo: Path, tmp_path: Path) -> None:
    def fitted(name: str, seed: int | None) -> torch.Tensor:
        trained = SupervisedTask(MLP.partial(hidden=4, layers=1, dropout=0.5))
        plain(tmp_path / name, seed=seed, trainer={"limit_train_batches": 2}).fit(trained, data(digits_zoo))
        return torch.cat([weight.detach().flatten() for weight in trained.parameters()])

    pl.seed_everything(0, verbose=False)
    first = fitted("a", 3)
    after = [float(torch.rand(())), np.random.rand(), random.random()]
    assert torch.equal(fitted("b", 3), first)
    assert not torch.equal(fitted("c", 4), first)
    pl.seed_everything(0, verbose=False)
    assert [float(torch.rand(())), np.random.rand(), random.random()] == after, "a fit by a seed changes them"
    unseeded = [fitted(name, None) for name in "def"]
    assert not any(torch.equal(one, other) for one, other in combinations(unseeded, 2)), "they begin with equal weights"


def test_a_fit_that_fails_leaves_the_generators_as_they_were(digits_zoo: Path, tmp_path: Path) -> None:
    class Fails(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            raise RuntimeError("of the first step")

    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="of the first step"):
        plain(tmp_path, Fails(), seed=3).fit(SupervisedTask(MLP.partial(hidden=4, layers=1)), data(digits_zoo))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_loss_of_an_epoch_is_that_of_the_steps_that_were_not_skipped(digits_zoo: Path, tmp_path: Path) -> None:
    class Failing(SupervisedTask):
        def loss(self, results: torch.Tensor, batch: WeightBatch) -> torch.Tensor:
            found = super().loss(results, batch)
            if not self.training:
                return found
            broken = self.trainer.fit_loop.batch_idx == 1
            losses.append((float("nan") if broken else float(found.detach()), len(batch)))
            return found * float("nan") if broken else found

    losses: list[tuple[float, int]] = []
    fitted = plain(tmp_path, nonfinite="skip")
    fitted.fit(Failing(MLP.partial(hidden=4, layers=1)), data(digits_zoo))
    whole = [(loss, count) for loss, count in losses if not np.isnan(loss)]
    assert len(whole) == len(losses) - 1 == STEPS - 1
    mean = sum(loss * count for loss, count in whole) / sum(count for _, count in whole)
    assert float(fitted.callback_metrics["train/loss"]) == pytest.approx(mean, rel=1e-5)


def test_batches_of_one_step_have_other_random_numbers(digits_zoo: Path, tmp_path: Path) -> None:
    class Drawing(SupervisedTask):
        def training_step(self, batch: WeightBatch, batch_idx: int) -> torch.Tensor:
            drawn.setdefault(self.global_step, []).append(float(torch.rand(1)))
            return super().training_step(batch, batch_idx)

    drawn: dict[int, list[float]] = {}
    plain(tmp_path, trainer={"accumulate_grad_batches": 2}).fit(
        Drawing(MLP.partial(hidden=4, layers=1)), data(digits_zoo)
    )
    assert all(len(set(numbers)) == len(numbers) for numbers in drawn.values())
    assert max(map(len, drawn.values())) == 2


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
