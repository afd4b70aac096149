"""A run's own config.yaml, given to a command again."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from weightspace.cli.main import main
from weightspace.runs.folder import RunFolder

BACKBONE = {"class_path": "MLP", "init_args": {"hidden": 4}}


@pytest.fixture
def write(tmp_path: Path, digits_zoo: Path, classifier_zoo: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes ``small.yaml`` of a task into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def run(task: str, **data: Any) -> None:
        zoo = classifier_zoo if task == "RegressionTask" else digits_zoo
        config = {
            "seed_everything": 3,
            "model": {"class_path": f"weightspace.tasks.{task}", "init_args": {"backbone": BACKBONE}},
            "data": {"zoo": str(zoo), **data},
            "trainer": {"max_epochs": 1, "accelerator": "cpu", "limit_train_batches": 1, "enable_progress_bar": False},
        }
        Path("small.yaml").write_text(yaml.safe_dump(config))

    return run


def test_it_keeps_an_optimiser_and_a_schedule_of_ones_own(write, capsys: pytest.CaptureFixture[str]) -> None:
    write("SupervisedTask")
    model, plateau = "--model.init_args.", "lightning.pytorch.cli.ReduceLROnPlateau"
    optimiser = [f"{model}optimizer", "SGD", f"{model}optimizer.lr", "0.5"]
    schedule = [
        f"{model}scheduler",
        plateau,
        f"{model}scheduler.monitor",
        "val/loss",
        f"{model}scheduler.factor",
        "0.1",
    ]
    assert main(["fit", "-c", "small.yaml", *optimiser, *schedule]) == 0
    own = ["fit", "-c", "runs/small/3/config.yaml"]
    assert main([*own, "--ckpt_path", "last", "--trainer.max_epochs", "2"]) == 0
    newest = max(Path("runs/small/3/checkpoints").glob("step-*.ckpt"))
    saved = torch.load(newest, weights_only=True)
    assert [group["lr"] for group in saved["optimizer_states"][0]["param_groups"]] == [0.5]
    assert saved["lr_schedulers"][0]["factor"] == 0.1
    assert saved["lr_schedulers"][0]["last_epoch"] == 2, "the step at the end of the first part is not lost"
    capsys.readouterr()
    assert main([*own, "--overwrite", "true", f"{model}learning_rate", "0.1"]) == 2
    assert "learning_rate (0.1) would be ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    "task",
    [
        "SupervisedTask",
        *(
            pytest.param(f"{t}Task", marks=pytest.mark.long)
            for t in ("Contrastive", "FineTune", "Reconstruction", "Regression")
        ),
    ],
)
def test_it_is_tested_and_trained_with_another_seed(write, task: str) -> None:
    write(task, **({"positives": "views"} if task == "ContrastiveTask" else {}))
    assert main(["fit", "-c", "small.yaml", "--overwrite", "true", "--experiment", "other"]) == 0
    own = "runs/other/3/config.yaml"
    assert main(["validate", "-c", own]) == 0
    if task not in ("ContrastiveTask", "ReconstructionTask"):
        assert main(["test", "-c", own]) == 0
        assert main(["predict", "-c", own]) == 0
        assert Path("runs/other/3/predictions.csv").exists()
    assert main(["fit", "-c", own]) == 2, "it is there already"
    assert main(["fit", "-c", own, "--seed_everything", "1"]) == 0
    assert {str(path) for path in Path().glob("runs/*/*")} == {"runs/other/3", "runs/other/1"}


def test_a_run_that_was_moved_is_found_beside_its_file(write) -> None:
    write("SupervisedTask")
    assert main(["fit", "-c", "small.yaml"]) == 0
    shutil.move("runs", "elsewhere")
    assert main(["validate", "-c", "elsewhere/small/3/config.yaml"]) == 0
    assert not Path("runs").exists()
    assert main(["fit", "-c", "elsewhere/small/3/config.yaml", "--runs", "more"]) == 0
    assert Path("more/small/3/config.yaml").exists()


@pytest.mark.parametrize(
    ("seed", "expected"), [pytest.param("${..seed_everything}", 1, marks=pytest.mark.long), (None, 1), (3, 3)]
)
def test_the_seed_of_the_data_follows_unless_it_was_given(write, seed: Any, expected: int) -> None:
    write("SupervisedTask", seed=seed)
    assert main(["fit", "-c", "small.yaml"]) == 0
    config = ["-c", "runs/small/3/config.yaml", "--seed_everything", "1"]
    assert main(["fit", *config]) == 0
    saved = yaml.safe_load(Path("runs/small/1/config.yaml").read_text())
    assert saved["data"]["seed"] == (expected if seed == 3 else None)
    assert saved["seed_everything"] == 1


def test_what_belongs_to_one_command_is_no_part_of_it(write) -> None:
    write("SupervisedTask")
    assert main(["fit", "-c", "small.yaml"]) == 0
    first = RunFolder(Path("runs/small/3")).steps()[-1]
    assert main(["fit", "-c", "small.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"]) == 0
    saved = yaml.safe_load(Path("runs/small/3/config.yaml").read_text())
    assert not {"ckpt_path", "overwrite", "weights_only", "experiment", "runs"} & set(saved)
    assert first.exists()
    text = Path("small.yaml").read_text()
    Path("small.yaml").write_text(f"{text}\noverwrite: true\nckpt_path: null\n")
    assert main(["validate", "-c", "small.yaml"]) == 0, "of the best, although the file names none"


@pytest.mark.timeout(120, func_only=True)  # a pipe without a writer would be waited for forever
def test_a_pipe_is_read_once(write) -> None:
    write("SupervisedTask")
    text = Path("small.yaml").read_text()
    os.mkfifo("pipe.yaml")
    writer = threading.Thread(target=Path("pipe.yaml").write_text, args=(text,), daemon=True)
    writer.start()
    assert main(["fit", "-c", "pipe.yaml", "--experiment", "piped"]) == 0
    assert yaml.safe_load(Path("runs/piped/3/config.yaml").read_text())["trainer"]["max_epochs"] == 1
