"""Whole tasks in several real processes, against one process with the whole batch."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
import yaml
from warm import warm_ranks
from weightspace.cli.main import main
from weightspace.runs.folder import RunFolder
from weightspace.spec import NetworkSpec
from weightspace.zoo import write_zoo

pytestmark = pytest.mark.processes

TASKS: dict[str, tuple[dict[str, object], str | None]] = {
    "SupervisedTask": ({}, None),
    "ContrastiveTask": ({}, "views"),
    "ReconstructionTask": ({"contrastive": 0.5, "pair_loss": {"loss": "vicreg"}}, "views"),
}


@pytest.fixture(scope="module")
def odd_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """61 training objects, two views each: batches that two or three processes cannot share evenly."""
    out = tmp_path_factory.mktemp("zoos") / "odd"
    options = ["--source", "digits", "--recipe", "siren", "--set", "steps=60", "hidden=[8, 8]", "--views", "2"]
    assert main(["zoo", "fit", *options, "--train", "61", "--val", "20", "--test", "20", "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize(
    ("task", "world"),
    [
        pytest.param("SupervisedTask", 3, marks=pytest.mark.long),
        pytest.param("ContrastiveTask", 3),
        pytest.param("ReconstructionTask", 3, marks=pytest.mark.long),
    ],
)
def test_several_processes_train_the_weights_and_measure_the_numbers_of_one(
    task: str, world: int, odd_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    arguments, positives = TASKS[task]
    data = {"zoo": str(odd_zoo), "positives": positives, "n_views": None if positives else 1}
    config = {
        "model": {"class_path": f"weightspace.tasks.{task}", "init_args": {"backbone": backbone, **arguments}},
        "data": data,
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "64-true"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    command = ["fit", "-c", "x.yaml", "--data.batch_size"]
    several = [*command, str(12), "--runs", "several", "--trainer.devices", str(world)]
    with ExitStack() as stack:
        for running in [stack.enter_context(rank) for rank in warm_ranks(world, *several)]:
            _, err = running.communicate()
            assert running.returncode == 0, err
    assert main([*command, str(12 * world), "--runs", "one"]) == 0
    folders = [RunFolder(Path(runs) / "x" / "0") for runs in ("one", "several")]
    one, other = (torch.load(folder.checkpoint("last"), weights_only=True)["state_dict"] for folder in folders)
    for name, tensor in one.items():
        if isinstance(tensor, torch.Tensor):
            assert torch.allclose(tensor, other[name], atol=1e-8), name
    measured = [json.loads(folder.metrics_file.read_text())["fit"] for folder in folders]
    for name in ("train/loss", "val/loss", "train/accuracy", "val/accuracy"):
        if name in measured[0]:  # of the whole set, and no network counted twice
            assert measured[1][name] == pytest.approx(measured[0][name], abs=1e-7), name


def test_a_process_with_one_network_measures_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three validation networks: one process alone would have too few for R2, of which all have enough."""
    monkeypatch.chdir(tmp_path)
    spec, generator = NetworkSpec((2, 3, 1), "tanh"), torch.Generator().manual_seed(0)
    params = torch.randn(11, spec.num_params, generator=generator)
    write_zoo("zoo", params, spec, targets=torch.rand(11, generator=generator), val=3)
    backbone = {"class_path": "MLP", "init_args": {"hidden": 4, "layers": 1}}
    config = {
        "model": {"class_path": "weightspace.tasks.RegressionTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": "zoo"},
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "precision": "64-true"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    command = ["fit", "-c", "x.yaml", "--data.batch_size"]
    with ExitStack() as stack:
        several = [*command, "4", "--runs", "several", "--trainer.devices", "2"]
        for running in [stack.enter_context(rank) for rank in warm_ranks(2, *several)]:
            _, err = running.communicate()
            assert running.returncode == 0, err
    assert main([*command, "8", "--runs", "one"]) == 0
    one, other = (json.loads(Path(f"{runs}/x/0/metrics.json").read_text())["fit"] for runs in ("one", "several"))
    for name in ("val/r2", "val/kendall", "val/mse", "val/regret"):
        assert other[name] == pytest.approx(one[name], abs=1e-7), name
