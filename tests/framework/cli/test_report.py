"""Reports of runs: formats, columns, what the runs differ in, and how wide they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard import SummaryWriter
from weightspace.cli.main import main
from weightspace.cli.tables import terminal_tables
from weightspace.runs.comparison import compare
from weightspace.runs.folder import RunFolder
from weightspace.runs.metric_text import mean_text, metric_text
from weightspace.studies.interval import difference_by_object, difference_by_seed
from weightspace.text import PlainConsole

MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    monkeypatch.chdir(tmp_path)

    def make(name: str, metrics: dict[str, Any], **config: Any) -> RunFolder:
        folder = RunFolder(Path("runs") / name)
        folder.write_json("provenance.json", {"parameters": 1234})
        folder.write_json("metrics.json", metrics)
        (folder.path / "config.yaml").write_text(yaml.safe_dump(config))
        return folder

    return make


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("test/accuracy", [0.7083], "70.8%"),
        ("test/balanced_accuracy", [0.5, 0.6], "55.0 +- 7.1 %"),
        ("test/r2", [0.038, 0.093], "0.0655 +- 0.0389"),
        ("test/kendall", [0.5, 0.5], "0.500 +- 0.000"),
        ("val/loss", [2.3418], "2.34"),
        ("test/mse", [0.000012345], "0.0000123"),
        ("test/mse", [1.5e-9, 1.6e-9], "1.55e-09 +- 7.07e-11"),
        ("networks_per_second", [11950.7, 12050.2], "12,000 +- 70"),
        ("seconds", [3.21], "3.21"),
        ("epochs", [2.0], "2"),
        ("test/r2", [float("nan")], "nan"),
        ("test/r2", [1.0, float("inf")], "inf"),
        ("test/loss", [12.3, 12.31], "12.305 +- 0.007"),
    ],
)
def test_metrics_have_the_format_of_their_kind(name: str, values: list[float], text: str) -> None:
    assert mean_text(name, values) == text
    if len(values) == 1:
        assert metric_text(name, values[0]) == text


def test_means_of_numbers_are_not_percentages(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, r2 in enumerate((0.038, 0.093)):
        make_run(f"x/{seed}", {"test": {"test/r2": r2}})
    assert main(["report", "runs", "--mean"]) == 0
    assert "0.0655 +- 0.0389" in capsys.readouterr().out


def test_means_with_what_is_no_number_have_no_deviation(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, tau in enumerate((float("nan"), 0.5, 0.6)):
        make_run(f"x/{seed}", {"test": {"test/kendall": tau}})
    assert main(["report", "runs", "--mean"]) == 0
    assert "nan" in capsys.readouterr().out


def test_formats_for_machines(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    make_run("a/0", {"fit": {"seconds": 3.25}, "test": {"test/accuracy": 1 / 3}}, model={"class_path": "t.DWS"})
    make_run("=b/0", {"test": {"test/accuracy": 0.5}}, model={"class_path": "t.GNN", "init_args": {"hidden": 8}})
    columns = ["run", "parameters", "test accuracy", "seconds", "model", "model.hidden"]
    assert main(["report", "runs/a", "runs/=b", "--format", "csv"]) == 0
    header, *rows = csv.reader(StringIO(capsys.readouterr().out))
    assert header == columns
    assert rows[0] == ["runs/a/0", "1234", repr(1 / 3), "3.25", "DWS", "none"]
    assert main(["report", "runs/a", "runs/=b", "--format", "json", "--out", "r.json"]) == 0
    found = json.loads(Path("r.json").read_text())
    assert found[0] == dict(zip(columns, ["runs/a/0", 1234, 1 / 3, 3.25, "DWS", "none"], strict=True))
    assert found[1]["seconds"] is None
    capsys.readouterr()
    assert main(["report", "runs/a", "--format", "md"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["| run | parameters | test accuracy | seconds |", "| --- | --- | --- | --- |",
                     "| runs/a/0 | 1,234 | 33.3% | 3.25 |"]  # fmt: skip
    for wrong, message in (
        (["--format", "jsn"], "did you mean 'json'"),
        (["--out", "x"], "give its --format too"),
        (["--format", "md", "--out", "no/x"], "--out no/x cannot be written"),
        (["--metrics", "test/acuracy"], "did you mean 'test/accuracy'"),
    ):
        assert main(["report", "runs/a", *wrong]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def answered(make_run: MakeRun) -> np.ndarray:
    """Right answers (2, 3, 40) of the experiments more and none, with three seeds and two views of 20 objects."""
    right = np.random.default_rng(0).random((2, 3, 40)) < [[[0.8]], [[0.5]]]
    for name, half in zip(("more", "none"), right, strict=True):
        for seed, answers in enumerate(half):
            accuracy = float(np.float32(answers.mean()))
            folder = make_run(f"{name}/{seed}", {"test": {"test/accuracy": accuracy}, "fit": {"seconds": 3.0 + seed}})
            lines = [f"{n // 2},{n % 2},cat,{'cat' if found else 'dog'}" for n, found in enumerate(answers)]
            (folder.path / "predictions.csv").write_text("\n".join(["object,view,true,class", *lines]) + "\n")
    make_run("else/7", {"test": {"test/accuracy": 0.5}})
    return right


def difference_of(row: dict[str, Any]) -> list[float]:
    return [row[key] for key in ("difference", "difference low", "difference high")]


def test_differences_to_a_baseline_are_paired_by_seeds_and_test_objects(
    answered: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    by_object = answered.reshape(2, 3, 20, 2).mean(-1)
    expected = difference_by_object(by_object[0] - by_object[1])
    for baseline in ("runs/none", str(Path("runs/none").resolve()), "runs/more/../none/"):
        found = {row["experiment"]: row for row in rows(capsys, "runs", "--baseline", baseline, "--format", "json")}
        assert difference_of(found["runs/more"]) == [expected.mean, expected.low, expected.high]
        assert found["runs/more"]["pairs"] == "3 seeds, 20 objects"
        assert difference_of(found["runs/none"]) == [None] * 3
        assert (difference_of(found["runs/else"]), found["runs/else"]["pairs"]) == ([None] * 3, "no pairs")
    shown = f"{100 * expected.mean:+.1f} ({100 * expected.low:+.1f} to {100 * expected.high:+.1f})"
    for form in ("table", "md", "tex"):
        capsys.readouterr()
        assert main(["report", "runs", "--baseline", "runs/none", "--format", form]) == 0
        out = capsys.readouterr().out
        assert shown in out
        assert "runs/none (baseline)" in out
    assert main(["report", "runs", "--baseline", "runs/none", "--format", "csv"]) == 0
    header = next(csv.reader(StringIO(capsys.readouterr().out)))
    assert header[:8] == ["experiment", "runs", "test accuracy", "test accuracy deviation", "difference",
                          "difference low", "difference high", "pairs"]  # fmt: skip


def test_without_the_answers_of_its_test_seeds_are_the_pairs(
    answered: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    accuracies = answered.mean(-1).astype(np.float32).astype(float)
    expected = difference_by_seed(accuracies[0] - accuracies[1])
    path = Path("runs/more/1/predictions.csv")
    lines = path.read_text().splitlines()
    other_split = [line.replace("cat,dog", "cat,cat") for line in lines]
    for content in (other_split, None):
        path.unlink() if content is None else path.write_text("\n".join(content) + "\n")
        found = rows(capsys, "runs/more", "runs/none", "--baseline", "runs/none", "--format", "json")
        assert difference_of(found[0]) == [expected.mean, expected.low, expected.high]
        assert found[0]["pairs"] == "3 seeds"


def test_the_first_metric_that_is_shown_is_compared(answered: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = ["--metrics", "seconds", "test/accuracy"]
    found = rows(capsys, "runs/more", "runs/none", "--baseline", "runs/none", "--format", "json", *metrics)
    assert difference_of(found[0]) == [0.0, None, None], "no pair differs"
    assert list(found[0])[2:5] == ["seconds", "seconds deviation", "difference"]


def test_a_baseline_that_is_not_shown(answered: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "runs", "--baseline", "runs/nome"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "baseline runs/nome: it is none of the experiments that are shown: did you mean 'runs/none'?" in said


def test_any_metric_can_be_a_column(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    own = {"fit": {"val/loss": 0.5, "best val/iou": 0.25}, "validate": {"val/loss": 0.75}, "test": {"test/iou": 0.125}}
    make_run("own/0", own)
    (row,) = rows(capsys, "runs", "--format", "json")
    assert (row["test/iou"], row["best val/iou"]) == (0.125, 0.25), "a task of one's own is shown by itself"
    (row,) = rows(capsys, "runs", "--format", "json", "--metrics", "val/loss")
    assert row == {"run": "runs/own/0", "parameters": 1234, "val/loss": 0.5}
    (row,) = rows(capsys, "runs", "--format", "json", "--metrics", "validate:val/loss")
    assert row["val/loss"] == 0.75


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["report", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_runs_differ_in(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = {"class_path": "weightspace.backbones.DWS"}
    for seed in (0, 1):
        for hidden in (8, 16):
            make_run(
                f"h{hidden}/{seed}",
                {"test": {"test/accuracy": 0.5}},
                seed_everything=seed,
                runs=f"there{hidden}",
                model={"init_args": {"backbone": {**backbone, "init_args": {"hidden": hidden}}}},
                data={"seed": seed, "zoo": f"place{hidden}/z", "augmentations": [{"mixup": {"alpha": 0.4}}]},
            )
    found = rows(capsys, "runs", "--format", "json")
    assert [row["model.backbone.hidden"] for row in found] == ["16", "16", "8", "8"]
    assert found[0].keys() == {"run", "parameters", "test accuracy", "model.backbone.hidden"}
    (column,) = [
        c for c in compare([RunFolder(Path("runs/h8/0")), RunFolder(Path("runs/h16/0"))]) if "differs" in c.title
    ]
    assert column.texts == ["model.backbone.hidden: 8", "model.backbone.hidden: 16"]
    make_run("h8/2", {}, model={"init_args": {"backbone": {**backbone, "init_args": {"hidden": 32}}}})
    (mixed,) = rows(capsys, "runs/h8", "--mean", "--format", "json")
    assert mixed["model.backbone.hidden"] == "8 | 32"


def test_tables_fit_in_80_columns_with_whole_names(make_run: MakeRun) -> None:
    name = "experiments/a_rather_long_name_of_an_experiment/0"
    measured = {f"test/score_{k}": k / 7 for k in range(12)}
    folder = make_run(name, {"test": measured}, model={"class_path": "a.B"})
    other = make_run("other/0", {"test": measured}, model={"class_path": "a.C" * 30})
    console = PlainConsole(width=80)
    with console.capture() as captured:
        console.print(terminal_tables(compare([folder, other]), 80), soft_wrap=False)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(f"runs/{name}" in line for line in lines)
    for k in range(12):
        assert f"{metric_text('', k / 7)}" in captured.get()


def test_curves_of_one_epoch_of_numbers_and_of_other_losses(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    logged = {
        "one": {"train/loss": [0.5], "val/loss": [0.4], "val/r2": [0.1]},
        "own": {"train/energy": [3.0, 2.0]},
        "none": {"other": [1.0]},
    }
    for name, curves in logged.items():
        folder = make_run(f"{name}/0", {})
        with SummaryWriter(str(folder.path)) as writer:
            for metric, values in curves.items():
                for step, value in enumerate(values):
                    writer.add_scalar(metric, value, step)
    for name in ("one", "own"):
        assert main(["report", f"runs/{name}", "--curves", f"{name}.png"]) == 0
        assert Path(f"{name}.png").stat().st_size > 5_000
    capsys.readouterr()
    assert main(["report", "runs", "--curves", "all.png"]) == 0
    assert "left out of the curves: none/0" in capsys.readouterr().err
    assert main(["report", "runs/none", "--curves", "none.png"]) == 2
    assert "no curves to draw" in capsys.readouterr().err


def test_the_configuration_and_final_metrics_are_in_tensorboard(
    digits_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    task = {"backbone": {"class_path": "MLP", "init_args": {"hidden": 4}}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": task},
        "data": {"zoo": str(digits_zoo)},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", "x.yaml"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert main(["fit", "-c", "x.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"]) == 0
    run = Path("runs/x/0")
    kept = yaml.safe_load((run / "hparams.yaml").read_text())
    assert (kept["model.backbone"], kept["model.backbone.hidden"], kept["data.batch_size"]) == ("MLP", 4, 64)
    events = EventAccumulator(str(run)).Reload()
    data = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    parameters = HParamsPluginData.FromString(data).session_start_info.hparams
    assert parameters["model.backbone.hidden"].number_value == 4
    accuracies = [e.value for e in events.Scalars("final/val/accuracy")]
    assert accuracies[-1] == pytest.approx(json.loads((run / "metrics.json").read_text())["fit"]["val/accuracy"])
    assert len(events.Scalars("val/accuracy")) == 2, "no point is drawn twice"
    tags = [tag for tag in events.summary_metadata if tag.startswith("_hparams_/session")]
    assert sorted(tags) == ["_hparams_/session_end_info", "_hparams_/session_start_info"]
