from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch.nn import functional as F
from weightspace.backbones import DWS, MLP
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.tasks import SupervisedTask
from weightspace.tasks.optim import Optimisation
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

    message = r"SupervisedTask: backbone.more.weight, backbone.more.bias have no shape .* nn.Linear in the place of"
    with pytest.raises(ConfigError, match=message):
        trainer(tmp_path, epochs=1).fit(SupervisedTask(Lazy), datamodule=ZooDataModule(str(digits_zoo)))


def test_vectors_are_not_decayed_and_the_rate_warms_up_and_falls() -> None:
    optimiser, schedule = Optimisation(0.1, 0.5, 0.2).build(torch.nn.Linear(3, 2), steps=10)
    assert [(len(g["params"]), g["weight_decay"]) for g in optimiser.param_groups] == [(1, 0.5), (1, 0.0)]
    rates = []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.05, 0.1, 0.1])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0)


@pytest.mark.parametrize(
    "options", [{"learning_rate": 0.0}, {"weight_decay": -1.0}, {"warmup": 1.0}, {"label_smoothing": 1.0}]
)
def test_bad_options_say_why(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        SupervisedTask(lambda spec, k: MLP(spec, k), **options)
