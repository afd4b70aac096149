"""What a notebook does with a trained task: load it without its zoo, predict, embed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.optim import SGD
from torch.utils.data import DataLoader, IterableDataset
from weightspace.backbones import DWS, MLP, Canonical, Probe, embed, load_backbone
from weightspace.batch import WeightBatch
from weightspace.callbacks import EncoderFile, standard_callbacks
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError, SpecError, ZooError
from weightspace.tasks import (
    ContrastiveTask,
    FineTuneTask,
    ReconstructionTask,
    RegressionTask,
    SupervisedTask,
    Task,
    predict,
)
from weightspace.testing.small_zoo import small_zoo
from weightspace.zoo import Zoo

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*is smaller than the logging")
SMALL = MLP.partial(hidden=4, layers=1)


class Own(SupervisedTask):
    """With arguments of its own, one of which no file can hold."""

    def __init__(self, backbone: Any, *, sharpness: float, function: Any = None, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.sharpness = sharpness


MAKE: dict[str, Callable[[], Task]] = {
    "supervised": lambda: SupervisedTask(Canonical.partial(backbone=SMALL), label_smoothing=0.1, optimizer=SGD),
    "finetune": lambda: FineTuneTask(partial(DWS, hidden=4, layers=1, dropout=0.5), embedding=6),
    "regression": lambda: RegressionTask(lambda spec, k: MLP(spec, k, hidden=4)),
    "contrastive": lambda: ContrastiveTask(SMALL, embedding=6, projection=4, hidden=5, layers=3),
    "reconstruction": lambda: ReconstructionTask(
        SMALL, embedding=6, width=5, depth=2, contrastive=1, pair_loss={"projection": 4, "loss": "vicreg"}
    ),
    "own": lambda: Own(SMALL, sharpness=2.0, function=print),
}


def trained(task: Task, zoo: Path, run: Path, **data: Any) -> Path:
    """A checkpoint of a step of training by a plain trainer, and the files of a run beside it."""
    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, callbacks=[EncoderFile(run)],
    )  # fmt: skip
    trainer.fit(task, ZooDataModule(str(zoo), **data))
    trainer.save_checkpoint(run / "checkpoints" / "best.ckpt")
    return run / "checkpoints" / "best.ckpt"


@pytest.mark.parametrize("name", list(MAKE))
def test_a_checkpoint_is_enough(name: str, digits_zoo: Path, classifier_zoo: Path, tmp_path: Path) -> None:
    path = classifier_zoo if name == "regression" else digits_zoo
    zoo, task = Zoo(path), MAKE[name]()
    checkpoint = trained(task, path, tmp_path, **({"positives": "views"} if task.pairs else {}))
    given = {"function": len} if name == "own" else {}
    again = type(task).load_from_checkpoint(checkpoint, **given)
    batch = zoo["test"][:5]
    assert not again.training
    assert torch.equal(again(batch), task.eval()(batch))
    assert again.class_names == (zoo.class_names if task.head else None)
    backbone = load_backbone(tmp_path)
    assert torch.equal(embed(backbone, batch), embed(again.backbone, batch))
    assert type(Task.load_from_checkpoint(checkpoint, **given)) is type(task)
    if name == "own":
        with pytest.raises(ConfigError, match=r"does not contain the argument function, .*\(path, function=...\)"):
            Own.load_from_checkpoint(checkpoint)
    if name == "supervised":
        with pytest.raises(
            ConfigError, match=r"the optimizer with which .* was trained is not in it: .*optimizer=...\)"
        ):
            trained(again, path, tmp_path)
        (tmp_path / "on").mkdir()
        again = SupervisedTask.load_from_checkpoint(checkpoint, optimizer=None)
        trained(again, path, tmp_path / "on")
        assert again.training, "a trainer would leave it in evaluation mode"
    if task.head is None:
        with pytest.raises(ConfigError, match=f"{type(task).__name__} has no head, so that it predicts nothing"):
            predict(again, batch)
        with pytest.raises(ConfigError, match=f"is of a {type(task).__name__}, but SupervisedTask was expected"):
            SupervisedTask.load_from_checkpoint(checkpoint)


def test_classes_are_predicted_by_name(digits_zoo: Path, tmp_path: Path) -> None:
    zoo, task = Zoo(digits_zoo), SupervisedTask(SMALL)
    with pytest.raises(ConfigError, match="SupervisedTask was not trained yet"):
        predict(task, zoo)
    checkpoint = trained(task, digits_zoo, tmp_path)
    found = predict(tmp_path, zoo, "test", batch_size=7)
    batch = zoo["test"][:]
    torch.testing.assert_close(found.probabilities, task.eval()(batch).softmax(1).detach())
    assert found.names == [zoo.class_names[k] for k in found.probabilities.argmax(1)]
    assert torch.equal(found.objects, batch.objects)
    assert predict(checkpoint, batch.replace(objects=None, views=None)).names == found.names
    assert repr(found).startswith(f"Predictions of {len(batch)} networks: {found.names[0]} (")
    assert repr(found).endswith("and 15 more")
    with pytest.raises(ConfigError, match="they have names and probabilities"):
        _ = found.values
    with pytest.raises(SpecError, match="only a zoo has splits, found a WeightBatch"):
        predict(task, batch, "test")
    with pytest.raises(ConfigError, match=r"contains no checkpoint of a run: expected .*best.ckpt"):
        predict(digits_zoo, zoo)


def test_numbers_are_predicted_in_their_units(classifier_zoo: Path, tmp_path: Path) -> None:
    zoo, task = Zoo(classifier_zoo), RegressionTask(SMALL)
    trained(task, classifier_zoo, tmp_path)
    found = predict(task, zoo["val"])
    assert torch.equal(found.values, task.eval()(zoo["val"][:]))
    assert found.class_names is None
    assert repr(found).startswith("Predictions of 20 networks: ")
    with pytest.raises(ConfigError, match="they have values"):
        _ = found.probabilities


def test_a_trainer_has_loaders_of_ones_own(digits_zoo: Path, tmp_path: Path) -> None:
    split = Zoo(digits_zoo)["train"]
    loader = DataLoader(range(len(split)), batch_size=90, collate_fn=split.__getitem__)
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    with pytest.raises(ConfigError, match=r"For loaders of your own, build it before: task.build_for\(ZooDataModule"):
        pl.Trainer(max_epochs=1, enable_checkpointing=False, **options).fit(SupervisedTask(SMALL), loader, loader)
    task = SupervisedTask(SMALL).build_for(ZooDataModule(str(digits_zoo)))
    trainer = pl.Trainer(max_epochs=1, enable_checkpointing=False, **options)
    trainer.fit(task, loader, loader)
    assert {"train/accuracy", "val/accuracy"} <= trainer.callback_metrics.keys()
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    trainer.fit_loop.max_epochs = 2
    trainer.fit(task, loader, loader, ckpt_path=tmp_path / "own.ckpt")
    assert trainer.current_epoch == 2


class Endless(IterableDataset):
    """Batches of a zoo, without a length."""

    def __init__(self, zoo: Zoo) -> None:
        self.zoo = zoo

    def __iter__(self) -> Iterator[WeightBatch]:
        return iter([self.zoo["train"][:8]] * 3)


def test_a_rate_that_falls_to_the_end_needs_one(digits_zoo: Path) -> None:
    loader = DataLoader(Endless(Zoo(digits_zoo)), batch_size=None)
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    for limits in {"max_epochs": 2}, {"max_epochs": -1, "max_time": {"minutes": 1}}:
        task = SupervisedTask(SMALL).build_for(ZooDataModule(str(digits_zoo)))
        with pytest.raises(ConfigError, match=r"of this one no end is known: give trainer.max_steps"):
            pl.Trainer(enable_checkpointing=False, **limits, **options).fit(task, loader, loader)
    task = SupervisedTask(SMALL).build_for(ZooDataModule(str(digits_zoo)))
    pl.Trainer(enable_checkpointing=False, max_steps=4, **options).fit(task, loader, loader)


def test_a_zoo_is_embedded_in_parts_and_the_backbone_stays_as_it_was(digits_zoo: Path) -> None:
    zoo = Zoo(digits_zoo)
    backbone = DWS(zoo.spec, 6, hidden=4, layers=1, dropout=0.5)
    features = embed(backbone, zoo, batch_size=33)
    assert backbone.training
    assert features.shape == (len(zoo), 6)
    assert not features.requires_grad
    torch.testing.assert_close(embed(backbone, zoo, "val"), features[zoo.rows("val")])
    torch.testing.assert_close(embed(backbone, zoo["val"]), backbone.eval()(zoo["val"][:]).detach())


def test_a_folder_without_one_backbone_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected one file of a backbone in this folder of a run, found no"):
        load_backbone(tmp_path)
    (tmp_path / "a.safetensors").touch()
    (tmp_path / "b.safetensors").touch()
    with pytest.raises(ConfigError, match=r"found a.safetensors, b.safetensors"):
        load_backbone(tmp_path)


def test_paths_and_numbers_of_numpy_are_arguments_of_a_checkpoint(digits_zoo: Path, tmp_path: Path) -> None:
    for name in ("first", "tuned"):
        (tmp_path / name).mkdir()
    first = SupervisedTask(MLP.partial(hidden=np.int64(4), layers=1), learning_rate=np.float32(0.25), warmup=0.0)
    again = SupervisedTask.load_from_checkpoint(trained(first, digits_zoo, tmp_path / "first", seed=np.int64(1)))
    assert again.optimisation.learning_rate == 0.25
    altered = torch.load(tmp_path / "first" / "checkpoints" / "best.ckpt", weights_only=True)
    altered["task"]["arguments"] = 3
    torch.save(altered, tmp_path / "altered.ckpt")
    with pytest.raises(ConfigError, match="arguments should be a dict"):
        SupervisedTask.load_from_checkpoint(tmp_path / "altered.ckpt")
    tuned = FineTuneTask(MLP.partial(hidden=4, layers=1), embedding=10, encoder=tmp_path / "first", mode="frozen")
    checkpoint = trained(tuned, digits_zoo, tmp_path / "tuned")
    assert FineTuneTask.load_from_checkpoint(checkpoint).mode == "frozen"


def test_parts_keep_their_modes(digits_zoo: Path) -> None:
    task = SupervisedTask(SMALL).build_for(ZooDataModule(digits_zoo))
    task.backbone.normaliser.eval()
    predict(task, Zoo(digits_zoo), "val")
    embed(task.backbone, Zoo(digits_zoo), "val")
    assert {name for name, part in task.named_modules() if not part.training} == {"backbone.normaliser"}


def test_what_trains_is_checked_when_it_is_given(digits_zoo: Path) -> None:
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: embed(MLP(Zoo(digits_zoo).spec, 2, hidden=4), Zoo(digits_zoo), [1, 2]), "no split"),
        (lambda: load_backbone("runs", DWS), r"a list, here \[DWS\]"),
        (lambda: SupervisedTask(SMALL, optimizer=0.1), "optimizer must be a class or function that makes one"),
        (lambda: SupervisedTask(SMALL, scheduler="cosine"), "scheduler must be a class or function that makes one"),
        (lambda: standard_callbacks("runs", seed=-1), "seed must be at least 0"),
    ]
    for call, said in refused:
        with pytest.raises((ConfigError, ZooError), match=said):
            call()


class Elsewhere(SingleDeviceStrategy):
    """Builds models as on an accelerator: with another default device."""

    @contextmanager
    def tensor_init_context(self, empty_init: bool | None = None) -> Iterator[None]:
        with torch.device("meta"):
            yield


@pytest.mark.parametrize("name", [*MAKE, "probe"])
def test_a_fit_begins_whatever_the_default_device(name: str, tmp_path: Path) -> None:
    task = {**MAKE, "probe": lambda: SupervisedTask(Probe)}[name]()
    zoo = small_zoo("value" if name == "regression" else "class")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        strategy=Elsewhere("cpu"), max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **quiet
    )
    trainer.fit(task, datamodule=ZooDataModule(zoo, positives="views" if task.pairs else None))
    assert all(parameter.device.type == "cpu" for parameter in task.parameters())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_in_every_precision(precision: str, tmp_path: Path) -> None:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu", precision=precision, gradient_clip_val=1.0, max_epochs=1, default_root_dir=tmp_path,
        enable_checkpointing=False, **quiet,
    )  # fmt: skip
    trainer.fit(SupervisedTask(SMALL), datamodule=ZooDataModule(small_zoo("class")))
    assert trainer.global_step > 0


@pytest.mark.parametrize("name", [*MAKE, "probe"])
def test_a_task_is_built_from_its_zoo_whatever_the_default_device(name: str) -> None:
    # Lightning builds it with the accelerator as the default device; "meta" is one that every machine has
    make = {**MAKE, "probe": lambda: SupervisedTask(Probe)}[name]
    zoo = small_zoo("value" if name == "regression" else "class")
    module = ZooDataModule(zoo, positives="views" if make().pairs else None)

    def built() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        return make().build_for(module).state_dict()

    expected = built()
    with torch.device("meta"):
        found = built()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
