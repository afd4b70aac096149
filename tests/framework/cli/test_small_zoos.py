"""Zoos of one class, one network or one validation object, and runs without anything to train."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from torch.nn import functional as F
from weightspace.backbones.artefact import load_backbone
from weightspace.backbones.embedding import embed
from weightspace.callbacks.online_probe import probe
from weightspace.cli.main import main
from weightspace.zoo import Zoo, write_zoo

Make = Callable[..., Path]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a zoo of a few networks of another: (its path, training, validation, test objects, class names).

    The first validation network can be one whose numbers are ``huge``.
    """
    monkeypatch.chdir(tmp_path)

    def make(path: Path, *counts: int, names: list[str] | None = None, huge: bool = False) -> Path:
        zoo = Zoo(path)
        splits = zip(("train", "val", "test"), counts, strict=True)
        rows = torch.cat([zoo.rows(split, first_view_only=True)[:count] for split, count in splits])
        targets = zoo.targets[rows] if names is None else zoo.targets[rows] % len(names)
        params = zoo.params(rows)
        params[counts[0] if huge else len(rows) :][:1] = 3e38  # finite, but nothing that is computed from it is
        columns = {"objects": zoo.objects[rows], "views": zoo.views[rows], "splits": zoo.splits[rows]}
        quality = dict(zip(zoo.header.quality, zoo.quality[rows].T, strict=True))
        called = names or zoo.header.target["names"]
        write_zoo("small", params, zoo.spec, targets=targets, names=called, quality=quality, **columns)
        return Path("small")

    return make


def experiment(task: str, rate: float = 1e-3, **data: object) -> list[str]:
    """The arguments of a short fit on the small zoo."""
    backbone = {"class_path": "MLP", "init_args": {"hidden": 8, "layers": 1}}
    arguments = {"backbone": backbone, "learning_rate": rate, "warmup": 0.0}
    config = {
        "model": {"class_path": f"weightspace.tasks.{task}", "init_args": arguments},
        "data": {"zoo": "small", "batch_size": 8, **data},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "-c", "x.yaml"]


PAIRS = {"positives": "augment", "augmentations": ["gaussian_noise"]}


@pytest.mark.parametrize(
    ("counts", "names", "task", "data", "message"),
    [
        ((9, 3, 0), ["only"], "SupervisedTask", {}, "needs two classes or more, and small has one, 'only'"),
        ((1, 3, 0), None, "ContrastiveTask", PAIRS, "has one object for train: fit it with train=2 or more"),
        ((9, 1, 0), None, "ContrastiveTask", PAIRS, "has one object for val: fit it with val=2 or more"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    small: Make, digits_zoo: Path, counts: tuple[int, ...], names: list[str] | None, task: str, data: dict[str, object],
    message: str, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    small(digits_zoo, *counts, names=names)
    assert main(experiment(task, **data)) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("runs").exists()


def test_one_validation_object_leaves_no_variance(
    small: Make, classifier_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(classifier_zoo, 9, 1, 1)
    assert main(experiment("RegressionTask")) == 2
    assert "(1) have one target, which leaves no variance for R2" in " ".join(capsys.readouterr().err.split())


def test_one_test_object_has_an_error_and_no_r2(small: Make, classifier_zoo: Path) -> None:
    small(classifier_zoo, 9, 3, 1)
    assert main(experiment("RegressionTask")) == 0
    assert main(["test", "-c", "x.yaml"]) == 0
    metrics = json.loads(Path("runs/x/0/metrics.json").read_text())["test"]
    assert metrics["test/mse"] >= 0
    assert not metrics.keys() & {"test/r2", "test/kendall"}


@pytest.mark.parametrize("command", [["info", "--out", "o.png"], ["show", "--out", "s.png"], ["verify"]])
def test_commands_on_one_network(small: Make, digits_zoo: Path, command: list[str]) -> None:
    zoo = small(digits_zoo, 1, 0, 0)
    assert main(["zoo", command[0], str(zoo), *command[1:]]) == 0


def test_one_network_is_its_own_partner(small: Make, digits_zoo: Path) -> None:
    small(digits_zoo, 1, 1, 1)
    assert main(experiment("SupervisedTask", augmentations=["mixup", "mixup_aligned"])) == 0
    assert main(["test", "-c", "x.yaml"]) == 0


def test_one_network_is_read_back(small: Make, digits_zoo: Path) -> None:
    small(digits_zoo, 1, 0, 0)
    assert main(experiment("ReconstructionTask")) == 0


def test_a_probe_on_one_class_predicts_that_class() -> None:
    train = torch.randn(20, 4), torch.zeros(20).long()
    test = torch.randn(8, 4), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    assert probe(train, test) == {"knn": 0.75, "linear": 0.75}


@pytest.mark.parametrize("option", ["max_epochs", "max_steps", "limit_train_batches"])
def test_nothing_to_train_is_told(
    small: Make, digits_zoo: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small(digits_zoo, 9, 3, 0)
    assert main([*experiment("SupervisedTask"), f"--trainer.{option}", "0"]) == 2
    assert f"trainer.{option} is 0: nothing would be trained" in " ".join(capsys.readouterr().err.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize("skip", [False, True])
def test_results_that_are_not_finite_are_told_with_their_networks(
    small: Make, digits_zoo: Path, skip: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = Zoo(small(digits_zoo, 8, 3, 0))
    # one step of a rate that makes weights so large that only the validation after it comes to no numbers
    fit = [*experiment("SupervisedTask", rate=1e30), "--trainer.num_sanity_val_steps", "0"]
    assert main([*fit, *(["--nonfinite", "skip"] if skip else [])]) == (0 if skip else 2)
    said = " ".join(capsys.readouterr().err.split())
    place = f"object {int(zoo.objects[zoo.rows('val')[0]])} view 0"
    assert "validate: the results of 3 networks are not finite" in said
    assert place in said
    assert "it is the model that makes NaN or infinity of them, since the weights of all networks are finite" in said
    assert skip or "leave these networks out of the metrics (--nonfinite skip)" in said
    (listed,) = Path("runs/x/0/nonfinite").glob("validate-*.json")
    assert len(json.loads(listed.read_text())["networks"]) == 3


def test_a_network_whose_result_is_not_finite_is_left_out_of_the_metrics_and_counted(
    small: Make, digits_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = Zoo(small(digits_zoo, 8, 3, 0, huge=True))
    fit = [*experiment("SupervisedTask"), "--trainer.num_sanity_val_steps", "0"]
    assert main(fit) == 2
    assert main([*fit, "--nonfinite", "skip", "--overwrite", "true"]) == 0
    first, *others = zoo.rows("val").tolist()
    assert f"(object {int(zoo.objects[first])} view 0)" in " ".join(capsys.readouterr().err.split())
    batch = zoo.batch(torch.tensor(others))
    logits = embed(load_backbone("runs/x/0/backbone.safetensors"), batch)
    metrics = json.loads(Path("runs/x/0/metrics.json").read_text())["fit"]
    assert metrics["val/left_out"] == 1
    assert metrics["val/loss"] == pytest.approx(float(F.cross_entropy(logits, batch.targets)), rel=1e-4)
    assert metrics["val/accuracy"] == float((logits.argmax(1) == batch.targets).float().mean())


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # the picture of such a network
@pytest.mark.parametrize("task", ["RegressionTask", "ContrastiveTask", "ReconstructionTask"])
def test_such_networks_are_left_out_by_every_task(
    small: Make, digits_zoo: Path, classifier_zoo: Path, task: str
) -> None:
    small(classifier_zoo if task == "RegressionTask" else digits_zoo, 8, 4, 0, huge=True)
    fit = experiment(task, **(PAIRS if task == "ContrastiveTask" else {}))
    assert main([*fit, "--nonfinite", "skip", "--trainer.num_sanity_val_steps", "0"]) == 0
    metrics = json.loads(Path("runs/x/0/metrics.json").read_text())["fit"]
    assert math.isfinite(metrics["val/loss"])
    assert metrics["val/left_out"] == 1
