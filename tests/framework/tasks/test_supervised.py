from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from torch.nn import functional as F
from weightspace.backbones import DWS, MLP
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.figures.augmentation import chain_figure
from weightspace.tasks import SupervisedTask
from weightspace.zoo import Zoo

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # advice for large images
    "ignore:.*is smaller than the logging interval",  # a zoo of a few batches
)


def trainer(tmp_path: Path, epochs: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, enable_checkpointing=False,
    )  # fmt: skip


def test_learns_the_training_networks(digits_zoo: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = SupervisedTask(lambda spec, k: DWS(spec, k, hidden=8, layers=2), learning_rate=1e-2)
    run = trainer(tmp_path, epochs=60)
    run.fit(task, datamodule=ZooDataModule(str(digits_zoo), batch_size=60, n_views=1))
    assert run.callback_metrics["train/accuracy"] > 0.95


def test_hard_targets_are_the_one_hot_soft_targets(digits_zoo: Path, tmp_path: Path, zoo: Zoo) -> None:
    task = SupervisedTask(lambda spec, k: MLP(spec, k, hidden=8))
    data = ZooDataModule(str(digits_zoo))
    trainer(tmp_path, epochs=1).fit(task, datamodule=data)
    batch = data.training_batch()
    task.log = lambda *args, **kwargs: None  # outside of a loop there is nothing to log to
    hard = task.training_step(batch, 0)
    soft = task.training_step(batch.replace(targets=F.one_hot(batch.targets, 10).float()), 0)
    assert torch.allclose(hard, soft)
    assert torch.allclose(hard, F.cross_entropy(task(batch), batch.targets))


def test_the_normaliser_sees_training_networks_only(digits_zoo: Path, tmp_path: Path, zoo: Zoo) -> None:
    task = SupervisedTask(lambda spec, k: MLP(spec, k, hidden=8))
    trainer(tmp_path, epochs=1).fit(task, datamodule=ZooDataModule(str(digits_zoo)))
    expected = zoo.params(zoo.rows("train")).mean(0)
    assert torch.allclose(task.backbone.normaliser.mean, expected, atol=1e-6)


def test_parameters_without_a_shape_are_refused(digits_zoo: Path, tmp_path: Path) -> None:
    class Lazy(MLP):
        def __init__(self, spec, out_dim) -> None:
            super().__init__(spec, out_dim, hidden=8)
            self.more = torch.nn.LazyLinear(3)

    message = r"SupervisedTask: backbone.more.weight, backbone.more.bias have no shape .* nn.Linear instead of"
    with pytest.raises(ConfigError, match=message):
        trainer(tmp_path, epochs=1).fit(SupervisedTask(Lazy), datamodule=ZooDataModule(str(digits_zoo)))


def test_mixed_classes_are_told_in_the_picture_of_a_chain(zoo: Zoo) -> None:
    batch = zoo.batch(zoo.rows("train")[:2])
    mixed = 0.75 * F.one_hot(torch.tensor([1, 2]), 10) + 0.25 * F.one_hot(torch.tensor([3, 4]), 10)
    names = [f"class {k}" for k in range(10)]
    figure = chain_figure(batch, batch.replace(targets=mixed), 4, (0.0, 1.0), names)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[2:] == ["75% class 1\n25% class 3", "75% class 2\n25% class 4"]


def test_learning_rates_are_logged_by_what_they_are_for(digits_zoo: Path, tmp_path: Path) -> None:
    monitor = LearningRateMonitor("step")
    logger = CSVLogger(tmp_path)
    run = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=logger, callbacks=[monitor], enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, limit_val_batches=0,
    )  # fmt: skip
    run.fit(SupervisedTask(lambda spec, k: MLP(spec, k, hidden=4)), datamodule=ZooDataModule(str(digits_zoo)))
    assert set(monitor.lrs) == {"rate/weights", "rate/vectors"}


@pytest.mark.parametrize(
    "options", [{"learning_rate": 0.0}, {"weight_decay": -1.0}, {"warmup": 1.0}, {"label_smoothing": 1.0}]
)
def test_bad_options_say_why(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        SupervisedTask(lambda spec, k: MLP(spec, k), **options)
