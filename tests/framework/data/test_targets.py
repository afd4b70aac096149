"""Classes are told by their names: on other data a model's numbers are served, whatever the zoo's are."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml
from weightspace.backbones import MLP
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.data.targets import Target, numbering
from weightspace.errors import ConfigError
from weightspace.tasks import FineTuneTask, RegressionTask, SupervisedTask
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE
from weightspace.zoo.shard import write_shard

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # advice for large images
    "ignore:.*is smaller than the logging interval",  # a zoo of a few batches
    "ignore:.*Checkpoint directory .* exists and is not empty",
)

DIGITS = [str(digit) for digit in range(10)]
REVERSED, SOME = DIGITS[::-1], ["7", "2", "5"]


def renumbered(zoo: Zoo, out: Path, names: list[str], rename: str = "{}") -> Path:
    """A zoo of the networks of some classes, with other numbers, and other names if asked."""
    old = [zoo.class_names.index(name) for name in names]
    rows = torch.isin(zoo.targets, torch.tensor(old)).nonzero().flatten()
    new = torch.tensor([old.index(int(number)) for number in zoo.targets[rows]])
    columns = {"object": zoo.objects, "view": zoo.views, "split": zoo.splits, "quality": zoo.quality}
    tensors = {"params": zoo.params(rows), "target": new, **{key: column[rows] for key, column in columns.items()}}
    (out / "shards").mkdir(parents=True)
    shard = write_shard(out, 0, tensors)
    target = {"kind": "class", "names": [rename.format(name) for name in names]}
    header = dataclasses.replace(zoo.header, target=target, shards=[shard])
    (out / FILE).write_text(header.to_text())
    return out


@pytest.fixture(scope="module")
def zoos(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, zoo = tmp_path_factory.mktemp("renumbered"), Zoo(digits_zoo)
    return {
        "digits": digits_zoo,
        "reversed": renumbered(zoo, folder / "reversed", REVERSED),
        "some": renumbered(zoo, folder / "some", SOME),
        "one": renumbered(zoo, folder / "one", ["7"]),
        "others": renumbered(zoo, folder / "others", ["1", "2"], "number {}"),
    }


def trainer(folder: Path, epochs: int, **options) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, **options,
    )  # fmt: skip


def make() -> SupervisedTask:
    torch.manual_seed(0)
    return SupervisedTask(lambda spec, k: MLP(spec, k, hidden=16), learning_rate=1e-2)


@pytest.fixture(scope="module")
def checkpoint(zoos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that knows its training networks by heart."""
    path = tmp_path_factory.mktemp("run") / "learned.ckpt"
    run = trainer(path.parent, 12, enable_checkpointing=False)
    run.fit(make(), datamodule=ZooDataModule(str(zoos["digits"]), batch_size=30))
    run.save_checkpoint(path)
    return path


def test_numbers_are_given_by_name() -> None:
    learned = Target("class", ("cat", "dog", "owl"))
    assert numbering(learned, learned, "z") is None
    assert numbering(learned, Target("class", ("owl", "cat", "dog")), "z") == [2, 0, 1]
    with pytest.raises(ConfigError, match=r"learned the classes cat, dog, owl, z has the classes cat, bird \(bird it"):
        numbering(learned, Target("class", ("cat", "bird")), "z")
    accuracy = Target("value", ("accuracy",))
    for other in (learned, Target("value", ("loss",))):
        with pytest.raises(ConfigError, match="learned the numbers accuracy, z has the"):
            numbering(accuracy, other, "z")
    with pytest.raises(ConfigError, match="a name occurs twice"):
        numbering(Target("class", ("a", "a", "b")), Target("class", ("b", "a")), "z")


@pytest.mark.parametrize("name", ["reversed", "some", "one"])
def test_a_checkpoint_is_right_on_other_numbers(
    name: str, zoos: dict[str, Path], checkpoint: Path, tmp_path: Path
) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["target"] == {"kind": "class", "names": DIGITS}
    run, data = trainer(tmp_path, 1), ZooDataModule(str(zoos[name]))
    run.test(make(), datamodule=data, ckpt_path=str(checkpoint), verbose=False, weights_only=True)
    task = run.lightning_module
    own = Zoo(zoos[name])
    batch = own.batch(own.rows("test", first_view_only=True))
    right = [DIGITS[k] == own.class_names[int(t)] for k, t in zip(task(batch).argmax(1), batch.targets, strict=True)]
    assert float(run.callback_metrics["test/accuracy"]) == pytest.approx(sum(right) / len(right))
    assert data.class_names == DIGITS
    assert task.confusions()["test"].shape == (10, 10)
    known = data.training_batch()
    assert known.num_classes == 10
    assert (task(known).argmax(1) == known.targets).float().mean() > 0.8, "what it knows by heart"


def test_going_on_trains_on_the_numbers_that_were_learned(
    zoos: dict[str, Path], checkpoint: Path, tmp_path: Path
) -> None:
    losses = []
    for name in ("digits", "some", "one"):
        run = trainer(tmp_path, 13, enable_checkpointing=False)
        data = ZooDataModule(str(zoos[name]), batch_size=60, augmentations=["mixup"])
        run.fit(make(), datamodule=data, ckpt_path=str(checkpoint), weights_only=True)
        assert run.current_epoch == 13
        losses.append(float(run.callback_metrics["train/loss"]))
    assert max(losses[1:]) < 1.5 * losses[0], "the loss of targets of other classes is many times as high"


def test_a_task_that_is_used_again_keeps_its_numbers(zoos: dict[str, Path], tmp_path: Path) -> None:
    task, data = make(), ZooDataModule(str(zoos["reversed"]))
    trainer(tmp_path, 1, enable_checkpointing=False).fit(task, datamodule=ZooDataModule(str(zoos["digits"])))
    trainer(tmp_path, 1).test(task, datamodule=data, verbose=False)
    assert data.class_names == DIGITS
    trainer(tmp_path, 1, enable_checkpointing=False).fit(make(), datamodule=data)
    assert data.class_names == REVERSED, "a new head learns the zoo's own"


def test_classes_that_were_not_learned_are_refused(zoos: dict[str, Path], checkpoint: Path, tmp_path: Path) -> None:
    data = ZooDataModule(str(zoos["others"]))
    for use in ("fit", "validate", "test", "predict"):
        with pytest.raises(ConfigError, match=r"learned the classes 0, 1, .*, 9, .*others has the classes number 1"):
            getattr(trainer(tmp_path, 20), use)(make(), datamodule=data, ckpt_path=str(checkpoint), weights_only=True)


def test_one_class_is_refused_where_nothing_else_was_learned(zoos: dict[str, Path], tmp_path: Path) -> None:
    data = ZooDataModule(str(zoos["one"]))
    for use in ("fit", "validate", "test", "predict"):
        with pytest.raises(ConfigError, match=r"SupervisedTask needs two classes or more, and .*one has one, '7'"):
            getattr(trainer(tmp_path, 1, enable_checkpointing=False), use)(make(), datamodule=data)


def test_checkpoints_without_names_are_read(zoos: dict[str, Path], checkpoint: Path, tmp_path: Path) -> None:
    old = torch.load(checkpoint, weights_only=True)
    del old["target"]
    torch.save(old, tmp_path / "old.ckpt")
    data = ZooDataModule(str(zoos["digits"]))
    run = trainer(tmp_path, 1)
    run.test(make(), datamodule=data, ckpt_path=str(tmp_path / "old.ckpt"), verbose=False, weights_only=True)
    assert "test/accuracy" in run.callback_metrics


def test_numbers_must_agree(classifier_zoo: Path, tmp_path: Path) -> None:
    task = RegressionTask(lambda spec, k: MLP(spec, k, hidden=4))
    run = trainer(tmp_path, 1, enable_checkpointing=False)
    run.fit(task, datamodule=ZooDataModule(str(classifier_zoo)))
    run.save_checkpoint(tmp_path / "r.ckpt")
    saved = torch.load(tmp_path / "r.ckpt", weights_only=True)
    assert saved["target"] == Zoo(classifier_zoo).header.target
    torch.save({**saved, "target": {"kind": "value", "names": ["loss"]}}, tmp_path / "other.ckpt")
    with pytest.raises(ConfigError, match="learned the numbers loss, .* has the numbers"):
        trainer(tmp_path, 1).test(
            RegressionTask(lambda spec, k: MLP(spec, k, hidden=4)),
            datamodule=ZooDataModule(str(classifier_zoo)),
            ckpt_path=str(tmp_path / "other.ckpt"),
            weights_only=True,
        )


def test_the_command_line_tests_and_predicts_by_name(
    zoos: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "MLP", "init_args": {"hidden": 16}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(zoos["digits"])},
        "trainer": {"max_epochs": 3, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    run = Path("runs/x/0")
    assert main(["fit", "-c", "x.yaml"]) == 0
    scores, predicted = [], []
    for name in ("digits", "reversed"):
        for command in ("test", "predict"):
            assert main([command, "-c", "x.yaml", "--data.zoo", str(zoos[name])]) == 0
        scores.append(json.loads((run / "metrics.json").read_text())["test"]["test/accuracy"])
        with (run / "predictions.csv").open(newline="") as file:
            predicted.append([(row["object"], row["class"]) for row in csv.DictReader(file)])
    assert scores[0] == scores[1]
    assert predicted[0] == predicted[1]
    assert main(["test", "-c", "x.yaml", "--data.zoo", str(zoos["some"])]) == 0
    for command in ("validate", "predict"):
        assert main([command, "-c", "x.yaml", "--data.zoo", str(zoos["one"])]) == 0
    with (run / "predictions.csv").open(newline="") as file:
        assert {row["object"]: row["class"] for row in csv.DictReader(file)}.items() <= dict(predicted[0]).items()
    assert (
        main(
            ["fit", "-c", "x.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "4", "--data.zoo", str(zoos["one"])]
        )
        == 0
    )
    capsys.readouterr()
    assert main(["test", "-c", "x.yaml", "--data.zoo", str(zoos["others"])]) == 2
    assert "has the classes number 1, number 2" in " ".join(capsys.readouterr().err.split())


def test_an_encoder_takes_a_new_head_for_any_classes(zoos: dict[str, Path], tmp_path: Path) -> None:
    task = FineTuneTask(lambda spec, k: MLP(spec, k, hidden=4), embedding=8)
    run = trainer(tmp_path, 1, enable_checkpointing=False)
    run.fit(task, datamodule=ZooDataModule(str(zoos["digits"])))
    new = FineTuneTask(lambda spec, k: MLP(spec, k, hidden=4), embedding=8, encoder=saved_encoder(task, tmp_path))
    trainer(tmp_path, 1, enable_checkpointing=False).fit(new, datamodule=ZooDataModule(str(zoos["others"])))
    assert new.learned == Target("class", ("number 1", "number 2"))


def saved_encoder(task: FineTuneTask, folder: Path) -> str:
    from weightspace.backbones.artefact import save_backbone

    save_backbone(task.encoder, folder / "e.safetensors")
    return str(folder / "e.safetensors")
