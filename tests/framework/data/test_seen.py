"""Encoders and tasks say what they were trained on, and are not tested on that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import weightspace as ws
from safetensors import safe_open
from weightspace.backbones import MLP
from weightspace.backbones.artefact import describe_encoder, save_backbone
from weightspace.callbacks import EncoderFile
from weightspace.cli.main import main
from weightspace.data.folds import folded
from weightspace.data.position import EpochPosition
from weightspace.data.seen import as_trained, trained_on
from weightspace.errors import ConfigError
from weightspace.tasks import ContrastiveTask, FineTuneTask, Task

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*is smaller than the logging")
SPEC = ws.NetworkSpec((2, 3, 1), "sine", 30.0)
SMALL = MLP.partial(hidden=4, layers=1)
FOLD = {"folds": 4, "fold": 1}


@pytest.fixture
def zoo(tmp_path: Path) -> ws.Zoo:
    """40 objects of two classes."""
    params = torch.randn(40, SPEC.num_params, generator=torch.Generator().manual_seed(0))
    splits = ["train"] * 30 + ["val"] * 4 + ["test"] * 6
    return ws.write_zoo(tmp_path / "zoo", params, SPEC, targets=[0, 1] * 20, splits=splits)


def fit(task: Task, zoo: ws.Zoo, folder: Path, **options: Any) -> None:
    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0, default_root_dir=folder, callbacks=[EncoderFile(folder)],
    )  # fmt: skip
    trainer.fit(task, datamodule=ws.ZooDataModule(zoo, **options))


def pretrained(zoo: ws.Zoo, folder: Path, **options: Any) -> Path:
    fit(ContrastiveTask(SMALL, embedding=5), zoo, folder, positives="augment", augmentations=["sign_flip"], **options)
    return folder / "encoder.safetensors"


def test_an_encoder_is_tested_in_its_own_fold_alone(zoo: ws.Zoo, tmp_path: Path) -> None:
    encoder = pretrained(zoo, tmp_path, **FOLD)
    task = FineTuneTask(SMALL, embedding=5, encoder=encoder, mode="linear")
    message = (
        r"was trained on \d+ of the \d+ objects that are tested here: fold 1 of 4 of .*, and here it is {}\. "
        "Train it with {}"
    )
    for options, *words in (
        ({"folds": 4, "fold": 2}, "fold 2 of 4", "data.fold: 2 and data.folds: 4"),
        ({"folds": 5, "fold": 1}, "fold 1 of 5", "data.fold: 1 and data.folds: 5"),
        ({}, "the zoo's own splits", "the zoo's own splits"),
    ):
        with pytest.raises(ConfigError, match=message.format(*words)):
            fit(task, zoo, tmp_path, **options)
    fit(task, zoo, tmp_path, **FOLD)
    assert describe_encoder(tmp_path / "backbone.safetensors")["trained_on"] == trained_on(folded(zoo, 4, 1))


def test_an_encoder_of_all_of_the_zoo_is_tested_in_no_fold(zoo: ws.Zoo, tmp_path: Path) -> None:
    encoder = pretrained(zoo, tmp_path)
    fit(FineTuneTask(SMALL, embedding=5, encoder=encoder), zoo, tmp_path)
    with pytest.raises(ConfigError, match="the zoo's own splits of .*, and here it is fold 1 of 4"):
        fit(FineTuneTask(SMALL, embedding=5, encoder=encoder), zoo, tmp_path, **FOLD)


def test_an_encoder_is_not_tested_on_another_zoo_that_it_has_seen(zoo: ws.Zoo, tmp_path: Path) -> None:
    encoder = pretrained(zoo, tmp_path, **FOLD)
    params = torch.randn(40, SPEC.num_params, generator=torch.Generator().manual_seed(1))
    other = ws.write_zoo(tmp_path / "other", params, SPEC, targets=[0, 1] * 20, splits=["train"] * 30 + ["val"] * 10)
    task = FineTuneTask(SMALL, embedding=5, encoder=encoder)
    with pytest.raises(
        ConfigError, match="that are tested here: fold 1 of 4 of .*, and here it is the zoo's own splits"
    ):
        fit(task, other, tmp_path, test_zoo=zoo)


def test_a_task_is_tested_in_its_own_fold_alone(zoo: ws.Zoo, tmp_path: Path) -> None:
    task = ws.SupervisedTask(SMALL)
    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0, enable_checkpointing=False, default_root_dir=tmp_path,
    )  # fmt: skip
    own, other = (ws.ZooDataModule(zoo, folds=4, fold=fold) for fold in (1, 2))
    trainer.test(task, other, verbose=False)  # it has not been trained yet
    trainer.fit(task, own)
    trainer.save_checkpoint(tmp_path / "task.ckpt")
    loaded = ws.SupervisedTask.load_from_checkpoint(tmp_path / "task.ckpt")
    for trained in (task, loaded):
        for use in (trainer.test, trainer.predict):
            with pytest.raises(
                ConfigError, match="this SupervisedTask was trained on .* fold 1 of 4 of .* fold 2 of 4"
            ):
                use(trained, other)
        trainer.test(trained, own, verbose=False)
        trainer.validate(trained, other, verbose=False)
        with pytest.raises(
            ConfigError, match="this SupervisedTask was trained on .* fold 1 of 4 .* or test it in fold 1"
        ):
            ws.predict(trained, zoo, "test")
        assert len(ws.predict(trained, own.zoo, "test")) == len(own.zoo["test"])
        assert len(ws.predict(trained, zoo)) == len(zoo)
    other.predict_split = "train"
    assert trainer.predict(task, other)
    with pytest.raises(ConfigError, match="this SupervisedTask was trained on"):
        trainer.fit(task, other)


def test_a_task_that_was_trained_on_two_zoos_names_both(zoo: ws.Zoo, tmp_path: Path) -> None:
    params = torch.randn(4, SPEC.num_params, generator=torch.Generator().manual_seed(1))
    other = ws.write_zoo(tmp_path / "other", params, SPEC, targets=[0, 1] * 2, splits=["train"] * 2 + ["test"] * 2)
    task = ws.SupervisedTask(SMALL)
    for data in (zoo, zoo, other):
        fit(task, data, tmp_path)
    assert task.trained_on == {"zoos": [trained_on(zoo), trained_on(other)]}
    assert describe_encoder(tmp_path / "backbone.safetensors")["trained_on"] == task.trained_on
    with pytest.raises(ConfigError, match="and here it is fold 1 of 4"):
        fit(task, zoo, tmp_path, **FOLD)


def test_what_an_encoder_does_not_say_is_not_checked(zoo: ws.Zoo, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    for said in (None, {"zoo": "0" * 64, "making": "of another zoo", "folds": 4, "fold": 3}):
        save_backbone(MLP(SPEC, 5, hidden=4, layers=1), path, trained_on=said)
        assert describe_encoder(path).get("trained_on") == said
        assert as_trained(zoo, said) is None
        fit(FineTuneTask(SMALL, embedding=5, encoder=path), zoo, tmp_path, **FOLD)


def test_a_zoo_that_was_made_again_in_the_same_way_is_the_same(zoo: ws.Zoo) -> None:
    other = folded(zoo, 4, 1)
    found = as_trained(zoo, trained_on(other) | {"zoo": "of other last bits"})
    assert found.fold == (1, 4)
    assert torch.equal(found.splits, other.splits)


def test_a_zoo_that_was_made_again_with_other_objects_has_other_folds(zoo: ws.Zoo) -> None:
    own = folded(zoo, 4, 1)
    said = trained_on(own) | {"zoo": "of other last bits"}
    with pytest.raises(ConfigError, match="fold 1 of 4 was trained on, but other networks were left out"):
        as_trained(zoo, said | {"objects": "with one more"})
    state = EpochPosition(own, None).state_dict() | {"zoo": "of other last bits"}
    EpochPosition(own, None).load_state_dict(state)
    EpochPosition(own, None).load_state_dict(state | {"fold": [1, 4]})  # of an earlier version
    with pytest.raises(ConfigError, match="of a run with other splits"):
        EpochPosition(own, None).load_state_dict(state | {"fold": [1, 4, "with one more"]})


def test_embeddings_name_the_splits_in_which_the_encoder_was_trained(
    zoo: ws.Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, said = tmp_path / "e.safetensors", "splits are those of fold 1 of 4, in which the encoder was trained"
    for options, expected in ((FOLD, folded(zoo, 4, 1)), ({}, zoo)):
        encoder = pretrained(zoo, tmp_path, **options)
        assert main(["embed", "--encoder", str(encoder), "--zoo", str(zoo.path), "--out", str(out)]) == 0
        assert (said in " ".join(capsys.readouterr().out.split())) == bool(options)
        with safe_open(out, "pt") as file:
            assert torch.equal(file.get_tensor("split"), expected.splits)
            assert file.metadata()["fold"] == ("[1, 4]" if options else "null")
