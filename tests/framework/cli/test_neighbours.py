"""The command ``weightspace neighbours``, on real zoos of images, solids and classifiers."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from convolved_networks import convolved
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from weightspace.backbones import DWS, save_backbone
from weightspace.cli.main import main
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, write_zoo


def test_table_pictures_and_map(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo, encoder, out = Zoo(digits_zoo), tmp_path / "encoder.safetensors", tmp_path / "alike"
    torch.manual_seed(0)
    save_backbone(DWS(zoo.spec, 6, hidden=4, layers=1), encoder)
    command = ["neighbours", "--zoo", str(digits_zoo), "--encoder", str(encoder), "--queries", "3", "--count", "2"]
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "the 2 nearest of 60 networks to each of 3" in said
    assert "(chance)" in said
    with (out / "neighbours.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 2
    assert {row["by"] for row in rows} == {"embedding", "weights", "function"}
    assert {row["rank"] for row in rows} == {"1", "2"}
    assert {int(row["query object"]) for row in rows} <= set(zoo.objects[zoo.rows("test")].tolist())
    events = EventAccumulator(str(out)).Reload()
    assert {"neighbours", "map"} <= set(events.Tags()["images"])
    assert (out / "map.png").stat().st_size > 10_000
    assert (out / "neighbours.png").stat().st_size > 10_000
    assert main([*command, "--out", str(out)]) == 0  # a second time


def test_solids_are_drawn_and_a_small_split_has_no_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = NetworkSpec((3, 8, 1), "sine", 5.0)
    params = 0.4 * torch.randn(12, spec.num_params, generator=torch.Generator().manual_seed(0))
    splits, targets = ["train"] * 8 + ["test"] * 4, torch.arange(12) % 2
    write_zoo(tmp_path / "solids", params, spec, targets=targets, names=["a", "b"], splits=splits)
    out = tmp_path / "alike"
    assert main(["neighbours", "--zoo", str(tmp_path / "solids"), "--count", "1", "--out", str(out)]) == 0
    assert "no map: it needs 5 networks or more, and the split test has 4" in " ".join(capsys.readouterr().out.split())
    assert (out / "neighbours.png").is_file()
    assert not (out / "map.png").exists()


def test_pictures_are_of_as_many_networks_as_can_be_looked_at(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["neighbours", "--zoo", str(digits_zoo), "--by", "function", "--split", "train", "--count", "1"]
    assert main([*command, "--queries", "30", "--map", "3", "--out", str(tmp_path / "alike")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "neighbours.png shows the first 24 of 30 queries" in said
    assert "no map: it needs 5 networks or more, and --map is 3" in said
    height = plt.imread(tmp_path / "alike/neighbours.png").shape[0]
    assert height < 3_000
    assert main([*command, "--seed", str(2**32), "--out", str(tmp_path / "other")]) == 2
    assert "seed must be in 0..4,294,967,295" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_networks_that_are_no_pictures(classifier_zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "alike"
    assert main(["neighbours", "--zoo", str(classifier_zoo), "--queries", "2", "--out", str(out)]) == 0
    assert (out / "map.png").is_file()
    assert not (out / "neighbours.png").exists()


def test_networks_that_read_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = convolved("averaged", count=12)
    splits = ["train"] * 8 + ["test"] * 4
    write_zoo(tmp_path / "cnns", batch.params.float(), batch.spec, targets=torch.arange(12) % 2, splits=splits)
    command = ["neighbours", "--zoo", str(tmp_path / "cnns"), "--count", "1", "--out", str(tmp_path / "alike")]
    assert main(command) == 0
    assert "no map: of networks that read images" in " ".join(capsys.readouterr().out.split())
    assert "weights" in (tmp_path / "alike" / "neighbours.csv").read_text()
    assert main([*command, "--by", "function"]) == 2
    assert "these networks read images" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "embedding"], "need an encoder"),
        (["--encoder", "none.safetensors"], "no such file"),
        (["--split", "tests"], "no split 'tests'"),
        (["--map", "-1"], "map"),
        (["--out", "/proc/alike"], "--out /proc/alike cannot be written"),
    ],
)
def test_bad_input(
    digits_zoo: Path, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str], options, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["neighbours", "--zoo", str(digits_zoo), "--queries", "1", *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
