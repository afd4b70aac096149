"""Half-made zoos and what they are made from, moved before the same command resumes: the bytes are those without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import contents
from PIL import Image
from weightspace.cli.main import main
from weightspace.fitting import job as fitting
from weightspace.zoo import Zoo, ZooWriter, shard


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "SHARD_ROWS", 4)
    monkeypatch.setattr(shard, "SHARD_BYTES", 1)


def check_moving(command: Callable[[Path], list[str]], root: Path, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    """Cuts a command after its first shard, moves its input and its zoo, lets it resume, and compares."""
    home, away = root / "home", root / "away/of/another name"
    write, began = ZooWriter.write, [False]

    def write_one(writer: ZooWriter, *arguments: Any) -> None:
        if began[0]:
            raise KeyboardInterrupt
        write(writer, *arguments)
        began[0] = True

    monkeypatch.setattr(ZooWriter, "write", write_one)
    assert main([*command(home / "input"), "--out", str(home / "z")]) == 130
    monkeypatch.setattr(ZooWriter, "write", write)
    assert len(list((home / "z/shards").iterdir())) == 1
    away.parent.mkdir(parents=True)
    home.rename(away)
    (away / "input").rename(away / "moved")
    (away / "z").rename(away / "half")
    first = (away / "half/shards/00000.safetensors").stat().st_mtime_ns
    assert main([*command(away / "moved"), "--out", str(away / "half")]) == 0
    assert (away / "half/shards/00000.safetensors").stat().st_mtime_ns == first, "it went on"
    assert main([*command(away / "moved"), "--out", str(away / "whole")]) == 0
    assert contents(away / "half") == contents(away / "whole")
    assert str(home) not in (away / "half/zoo.json").read_text()
    return Zoo(away / "half")


def pictures(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in (*(f"{kind}/{i}.png" for kind in "ab" for i in range(6)), "stray.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 4), dtype=np.uint8)).save(root / name)


def test_a_fit_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "home/input")
    options = ["--source_set", "size=4", "colour=grey", "--train", "8", "--val", "3", "--mode", "eager"]
    recipe = ["--recipe", "siren", "--set", "steps=2", "hidden=[4]"]
    zoo = check_moving(
        lambda path: ["zoo", "fit", "--source", "images", "--path", str(path), *options, *recipe], tmp_path, monkeypatch
    )
    assert len(zoo) == 11
    assert zoo.header.provenance["skipped"] == [
        {"path": "stray.png", "reason": "not in the folder of a class: expected <class>/<file>"}
    ]


@pytest.mark.parametrize("format", ["folder", "dwsnets"])
def test_an_import_goes_on(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_networks: Any) -> None:
    names = [f"{kind}/{i}.pth" for kind in "ab" for i in range(35)]  # in two shards
    root = save_networks(tmp_path / "home/input", *names)
    (root / names[1]).write_bytes(b"damaged")
    if format == "dwsnets":
        splits = {"train": {"path": [f"/elsewhere/{name}" for name in [*names, "a/gone.pth"]], "label": [0] * 71}}
        (root / "splits.json").write_text(json.dumps(splits))
    options = ["--activation", "relu"] if format == "folder" else ["--view_from", "none"]
    zoo = check_moving(lambda path: ["zoo", "import", str(path), "--format", format, *options], tmp_path, monkeypatch)
    assert len(zoo) == 69
    left = {network["path"].split("/")[-1] for network in zoo.header.left_out}
    assert left == {"1.pth"} | ({"gone.pth"} if format == "dwsnets" else set())
