"""Commands with several zoos: training, validation, tests of widths that were never seen, predictions, refusals."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from weightspace.backbones.artefact import describe_encoder
from weightspace.cli.main import main
from weightspace.runs.flat_config import read_flat, value_text
from weightspace.runs.folder import RunFolder
from weightspace.runs.origin import is_outdated, origins_of
from weightspace.zoo import Zoo

Say = Callable[..., tuple[int, str]]
RUN = Path("runs/widths/0")
CHAIN = ["sign_flip", {"mixup_aligned": {"alpha": 0.4}}, "mixup"]


def write(path: Path, zoos: list[Path], **data: Any) -> None:
    backbone = {"class_path": "GNN", "init_args": {"hidden": 4, "layers": 1, "head": 8, "probes": 3}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": [str(zoo) for zoo in zoos], "batch_size": 32, "augmentations": CHAIN, **data},
        "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    }
    path.write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, width_zoos: list[Path]) -> Path:
    """A folder with a run on the first two zoos."""
    folder = tmp_path_factory.mktemp("widths")
    write(folder / "widths.yaml", width_zoos[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", "-c", "widths.yaml"]) == 0
    return folder


@pytest.fixture
def say(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command in a copy of the folder; returns its code and what it said."""
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")

    def say(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(list(arguments))
        return code, " ".join("".join(capsys.readouterr()).split())

    return say


def measured(command: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((RUN / "metrics.json").read_text())[command]
    return found


def predictions() -> list[dict[str, str]]:
    with (RUN / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_all_commands_serve_both_zoos(say: Say, width_zoos: list[Path]) -> None:
    for command in ("validate", "test", "predict"):
        code, said = say(command, "-c", "widths.yaml")
        assert code == 0, said
    assert 0 <= measured("test")["test/accuracy"] <= 1
    rows = predictions()
    assert len(rows) == 40
    assert [row["zoo"] for row in rows[:2]] == [str(zoo) for zoo in width_zoos[:2]], "of one object, side by side"
    assert rows[0]["object"] == rows[1]["object"]
    right = sum(row["true"] == row["class"] for row in rows) / 40
    assert measured("test")["test/accuracy"] == pytest.approx(right)
    provenance = json.loads((RUN / "provenance.json").read_text())
    assert [zoo["path"] for zoo in provenance["zoo"]] == [str(zoo) for zoo in width_zoos[:2]]


@pytest.mark.parametrize("how", ["test_zoo", "zoo"])
def test_widths_that_were_never_seen_are_tested(say: Say, width_zoos: list[Path], how: str) -> None:
    other = str(width_zoos[2])
    for command in ("test", "predict"):
        code, said = say(command, "-c", "widths.yaml", f"--data.{how}", other)
        assert code == 0, said
    rows = predictions()
    assert (len(rows), "zoo" in rows[0]) == (20, False)
    assert {int(row["object"]) for row in rows} <= set(Zoo(other).objects.tolist())
    right = sum(row["true"] == row["class"] for row in rows) / 20
    assert measured("test")["test/accuracy"] == pytest.approx(right)


def test_several_zoos_are_tested_together(say: Say, width_zoos: list[Path]) -> None:
    named = json.dumps([str(zoo) for zoo in width_zoos])
    code, said = say("test", "-c", "widths.yaml", "--data.test_zoo", named)
    assert code == 0, said
    assert say("predict", "-c", "widths.yaml", "--data.test_zoo", named)[0] == 0
    rows = predictions()
    assert len(rows) == 60
    found = measured("test")
    for zoo in width_zoos:
        own = [row["true"] == row["class"] for row in rows if row["zoo"] == str(zoo)]
        name = "test_" + "-".join(map(str, Zoo(zoo).spec.widths))
        assert found[f"{name}/accuracy"] == pytest.approx(sum(own) / 20)
        assert f"{name}/balanced_accuracy" in found
    assert found["test/accuracy"] == pytest.approx(sum(row["true"] == row["class"] for row in rows) / 60)


def test_regression_on_two_widths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier_zoo: Path) -> None:
    monkeypatch.chdir(tmp_path)
    fit = [
        "zoo",
        "fit",
        "--source",
        "classifiers",
        "--recipe",
        "classifier",
        "--source_set",
        "data=iris",
        "--views",
        "2",
    ]
    counts = ["--train", "60", "--val", "20", "--test", "20", "--set", "hidden=[9]", "steps=100"]
    assert main([*fit, *counts, "--out", "wide"]) == 0
    model = {"class_path": "weightspace.tasks.RegressionTask", "init_args": {"backbone": "Statistics"}}
    config = {
        "model": model, "data": {"zoo": [str(classifier_zoo), "wide"]},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }  # fmt: skip
    Path("r.yaml").write_text(yaml.safe_dump(config))
    for command in ("fit", "test", "predict"):
        assert main([command, "-c", "r.yaml"]) == 0
    found = json.loads(Path("runs/r/0/metrics.json").read_text())["test"]
    assert {"test/r2", "test_4-6-3/r2", "test_4-9-3/mse"} <= found.keys()
    assert found["test/mse"] == pytest.approx((found["test_4-6-3/mse"] + found["test_4-9-3/mse"]) / 2, rel=1e-4)


def test_the_encoder_file_reads_all_widths_and_says_what_it_has_seen(say: Say, width_zoos: list[Path]) -> None:
    (file,) = RUN.glob("*_best.safetensors")
    zoos = describe_encoder(file)["trained_on"]["zoos"]
    assert [zoo["zoo"] for zoo in zoos] == [Zoo(path).digest for path in width_zoos[:2]]
    code, said = say("embed", "--encoder", str(file), "--zoo", str(width_zoos[2]), "--out", "e.safetensors")
    assert code == 0, said
    assert Path("e.safetensors").is_file()


@pytest.mark.parametrize("task", ["ContrastiveTask", "ReconstructionTask"])
def test_an_encoder_that_was_pretrained_on_two_widths_is_fine_tuned_on_a_third(
    say: Say, width_zoos: list[Path], task: str
) -> None:
    config = yaml.safe_load(Path("widths.yaml").read_text())
    arguments = {"backbone": config["model"]["init_args"]["backbone"], "embedding": 8}
    config["model"] = {"class_path": f"weightspace.tasks.{task}", "init_args": arguments}
    config["data"]["augmentations"] = ["gaussian_noise"]
    if task == "ContrastiveTask":
        config["data"]["positives"] = "views"
    Path("pre.yaml").write_text(yaml.safe_dump(config))
    code, said = say("fit", "-c", "pre.yaml")
    assert code == 0, said
    config["model"]["class_path"] = "weightspace.tasks.FineTuneTask"
    config["model"]["init_args"] = {**arguments, "encoder": "runs/pre/0", "compile": False}
    config["data"] = {"zoo": str(width_zoos[2])}
    Path("fine.yaml").write_text(yaml.safe_dump(config))
    for command in ("fit", "test"):
        code, said = say(command, "-c", "fine.yaml")
        assert code == 0, said


def test_a_run_remembers_its_zoos_and_sees_when_one_was_made_again(say: Say, width_zoos: list[Path]) -> None:
    copies = [shutil.copytree(zoo, f"zoos/{zoo.name}") for zoo in width_zoos[:2]]
    paths = json.dumps([str(copy) for copy in copies])
    code, said = say("fit", "-c", "widths.yaml", "--experiment", "copies", "--data.zoo", paths)
    assert code == 0, said
    assert "(from 6.0e+12)" in said, "compiling two widths takes twice the work to repay"
    folder = RunFolder(Path("runs/copies/0"))
    assert {key: origin.path for key, origin in origins_of(folder).items()} == {
        "zoo": str(copies[0]), "zoo 2": str(copies[1])
    }  # fmt: skip
    assert value_text("data.zoo", read_flat(folder.path / "config.yaml")) == ", ".join(z.name for z in width_zoos[:2])
    assert not is_outdated(folder)
    shutil.rmtree(copies[1])
    shutil.copytree(width_zoos[2], copies[1])
    assert is_outdated(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.init_args.backbone", "MLP"], "MLP, as it is given, reads networks of one architecture"),
        (["--data.augmentations", "[{mixup_aligned: {stored: true}}]"], "a stored alignment is that of one zoo"),
        (["--data.folds", "4", "--data.fold", "0"], "data.folds divides the objects of one zoo"),
        (
            ["--data.test_zoo", "OTHER"],
            "cannot be used together: they differ in 3 and 2 layers; targets",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    say: Say, classifier_zoo: Path, options: list[str], message: str
) -> None:
    options = [str(classifier_zoo) if option == "OTHER" else option for option in options]
    code, said = say("fit", "-c", "widths.yaml", "--experiment", "refused", *options)
    assert code == 2
    assert any(part in said for part in message.split("|")), said
    assert not Path("runs/refused").exists()


def test_an_mlp_is_not_tested_on_another_width(say: Say, width_zoos: list[Path]) -> None:
    mlp = ["-c", "widths.yaml", "--experiment", "mlp", "--model.init_args.backbone", "MLP"]
    assert say("fit", *mlp, "--data.zoo", str(width_zoos[0]))[0] == 0
    code, said = say("test", *mlp, "--data.zoo", str(width_zoos[1]))
    assert code == 2
    assert "this backbone was built for" in said


def test_studies_make_and_compare_all_zoos(say: Say, width_zoos: list[Path]) -> None:
    columns = {"seen": {"data.test_zoo": str(width_zoos[0])}, "unseen": {"data.test_zoo": "zoos/new"}}
    make = "fit --source digits --train 60 --val 20 --test 20 --recipe siren --set steps=60 hidden=[6,6]"
    study = {"base": "widths.yaml", "seeds": [0], "zoos": {"zoos/new": make}, "columns": columns, "variants": {"a": {}}}
    Path("s.yaml").write_text(yaml.safe_dump(study))
    code, said = say("study", "s.yaml", "--dry-run")
    assert code == 0, said
    assert "there is no zoo zoos/new yet" in said
