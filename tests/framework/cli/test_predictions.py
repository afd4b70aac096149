"""``weightspace predict``: any split, with the truth, of any task that returns predictions."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main
from weightspace.zoo import Zoo

TASKS = """
import torch
from weightspace.tasks import SupervisedTask

class Own(SupervisedTask):
    def predict_step(self, batch, batch_idx):
        # the second class is likely, whatever the network
        likely = torch.full((len(batch), 10), 0.05)
        likely[:, 1] = 0.55
        return {"object": batch.objects, "view": batch.views, "probability": likely}

class Bare(SupervisedTask):
    def predict_step(self, batch, batch_idx):
        return self(batch)
"""


@pytest.fixture
def run(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a trained run."""
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "MLP", "init_args": {"hidden": 16}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo), "eval_batch_size": 7},
        "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "tasks_of_others.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["fit", "-c", "x.yaml"]) == 0
    return tmp_path / "runs" / "x" / "0"


def table(run: Path) -> list[dict[str, str]]:
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_splits_truth_and_the_likeliest_classes(
    run: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str], digits_zoo: Path
) -> None:
    assert main(["test", "-c", "x.yaml"]) == 0
    assert main(["predict", "-c", "x.yaml"]) == 0
    rows = table(run)
    accuracy = json.loads((run / "metrics.json").read_text())["test"]["test/accuracy"]
    assert sum(row["true"] == row["class"] for row in rows) / len(rows) == pytest.approx(accuracy)
    expected = zoo.rows("test", first_view_only=True)
    assert {int(row["object"]): row["true"] for row in rows} == {
        int(zoo.objects[k]): zoo.class_names[int(zoo.targets[k])] for k in expected
    }
    for split, count in (("train", 180), ("val", 20)):
        assert main(["predict", "-c", "x.yaml", "--split", split, "--top_k", "2"]) == 0
        rows = table(run)
        assert len(rows) == len({(row["object"], row["view"]) for row in rows}) == count
        assert list(rows[0]) == ["object", "view", "true", "class", "top_1", "p_1", "top_2", "p_2"]
        assert all(row["class"] == row["top_1"] and float(row["p_1"]) >= float(row["p_2"]) for row in rows)
    for options, message in [
        (["--split", "internal"], "has no networks in the split internal: set data.internal_test: true"),
        (["--split", "tets"], "split must be one of train, val, test, internal, found 'tets'"),
        (["--top_k", "11"], "top_k must be in 1..10"),
    ]:
        capsys.readouterr()
        assert main(["predict", "-c", "x.yaml", *options]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_tasks_of_others(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = Path("x.yaml").read_text()
    Path("x.yaml").write_text(given.replace("weightspace.tasks.SupervisedTask", "tasks_of_others.Own"))
    assert main(["predict", "-c", "x.yaml"]) == 0
    assert [row["class"] for row in table(run)] == ["1"] * 20
    Path("x.yaml").write_text(given.replace("weightspace.tasks.SupervisedTask", "tasks_of_others.Bare"))
    assert main(["predict", "-c", "x.yaml"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert 'Bare.predict_step should return a dict of tensors with "object"' in said
    assert "found a tensor (7, 10)" in said


@pytest.mark.long
def test_several_processes_predict_every_network_once(run: Path) -> None:
    assert main(["predict", "-c", "x.yaml", "--split", "train"]) == 0
    one = (run / "predictions.csv").read_text()
    command = ["predict", "-c", "x.yaml", "--split", "train", "--trainer.devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "weightspace", *command], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[:3] for line in (run / "predictions.csv").read_text().splitlines()] == [
        line.split(",")[:3] for line in one.splitlines()
    ]
