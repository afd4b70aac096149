"""Which files of a folder are networks, and of which class and split."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from convolved_networks import convolved, module_of
from weightspace.cli.main import main
from weightspace.zoo import Zoo

RELU = ["--format", "folder", "--activation", "relu"]


def skipped(zoo: Zoo) -> dict[str, str]:
    return {entry["path"]: entry["reason"] for entry in zoo.header.provenance.get("skipped", [])}


def test_what_is_hidden_is_no_network(
    tmp_path: Path, save_networks: Callable, import_folder: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_networks(tmp_path / "nets", "cat/0.pth", "cat/1.PT", "dog/2.pth")
    for copy in ("cat/.ipynb_checkpoints/0-checkpoint.pth", "cat/._0.pth", "__MACOSX/cat/0.pth", ".0.pth"):
        (root / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "cat/0.pth", root / copy)
    (root / "README.md").write_text("networks")
    zoo = import_folder(root, "--strict", "true")
    assert (len(zoo), zoo.class_names, zoo.header.left_out) == (3, ["cat", "dog"], [])
    assert skipped(zoo) == {
        "README.md": "of another kind than .ckpt .pt .pth .safetensors",
        ".0.pth": "hidden, or of another program, and 3 more like it",
    }
    assert "left out README.md: of another kind" in capsys.readouterr().out


def test_folders_of_splits(tmp_path: Path, save_networks: Callable, import_folder: Callable) -> None:
    root = save_networks(tmp_path / "nets", "train/cat/0.pth", "train/dog/0.pth", "valid/cat/1.pth", "test/dog/2.pth")
    zoo = import_folder(root)
    assert (zoo.class_names, zoo.splits.tolist(), zoo.targets.tolist()) == (["cat", "dog"], [0, 0, 1, 2], [0, 1, 0, 1])


def test_folders_of_splits_and_an_expression(tmp_path: Path, save_networks: Callable, import_folder: Callable) -> None:
    root = save_networks(tmp_path / "nets", "train/0_cat.pth", "train/1_dog.pth", "test/2_dog.pth")
    zoo = import_folder(root, "--label_regex", r".*_(\w+)\.pth")
    assert (zoo.class_names, zoo.splits.tolist(), zoo.targets.tolist()) == (["cat", "dog"], [0, 0, 2], [0, 1, 1])


def test_the_split_that_is_not_there_is_drawn(tmp_path: Path, save_networks: Callable, import_folder: Callable) -> None:
    root = save_networks(tmp_path / "nets", *(f"train/cat/{i}.pth" for i in range(6)), "test/cat/0.pth")
    zoo = import_folder(root, "--val", "2")
    assert zoo.splits.bincount().tolist() == [4, 2, 1]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["train/cat/0.pth", "dog/1.pth"], [], "dog/1.pth is in no folder of a split (train, val, test)"),
        (["train/0.pth", "test/1.pth"], [], "or give labels or label_regex"),
        (["train/cat/0.pth", "test/cat/1.pth"], ["--test", "1"], "leave val and test out"),
        (["a.txt", ".b.pth"], [], "no network to import"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, save_networks: Callable, names: list[str], options: list[str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = save_networks(tmp_path / "nets", *names)
    assert main(["zoo", "import", str(root), *RELU, *options, "--out", str(tmp_path / "z")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "z").exists()


def test_a_folder_for_each_training_with_checkpoints_as_views(tmp_path: Path) -> None:
    root, batch = tmp_path / "nets", convolved("averaged", count=6)
    rows = ["path,label,object,view"]
    for number, params in enumerate(batch.params):
        path = f"run{number // 2}/epoch_{10 * (number % 2)}.pt"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model": module_of(batch.spec, params).float().state_dict()}, root / path)
        rows.append(f"{path},{number / 10},run{number // 2},{1 - number % 2}")
    (tmp_path / "arch.json").write_text(json.dumps(batch.spec.to_json()))
    (tmp_path / "table.csv").write_text("\n".join(rows))
    command = ["zoo", "import", str(root), "--format", "folder", "--spec", str(tmp_path / "arch.json"), "--test", "1"]
    by_name, by_table = str(tmp_path / "a"), str(tmp_path / "b")
    assert main([*command, "--view_from", "epoch_{view}.pt", "--label_regex", "(run)", "--out", by_name]) == 0
    assert main([*command, "--labels", str(tmp_path / "table.csv"), "--target", "value", "--out", by_table]) == 0
    for zoo, views, order in ((Zoo(by_name), (0, 10), (0, 1)), (Zoo(by_table), (0, 1), (1, 0))):
        assert zoo.spec == batch.spec
        assert sorted(zip(zoo.objects.tolist(), zoo.views.tolist(), strict=True)) == [
            (item, view) for item in range(3) for view in views
        ]
        assert zoo.splits.bincount().tolist() == [4, 0, 2], "all checkpoints of a training are in one split"
        for row, (item, view) in enumerate(zip(zoo.objects.tolist(), zoo.views.tolist(), strict=True)):
            number = 2 * item + order[views.index(view)]
            assert torch.equal(zoo.params(torch.tensor([row]))[0], batch.params[number].float())


def test_nothing_is_left_behind_where_nothing_is_left(
    tmp_path: Path, save_networks: Callable, network: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_networks(tmp_path / "nets", "cat/0.pth", "dog/1.pth")
    for seed, name in enumerate(("cat/0.pth", "dog/1.pth")):
        torch.save({key: torch.full_like(tensor, torch.nan) for key, tensor in network(seed).items()}, root / name)
    assert main(["zoo", "import", str(root), *RELU, "--out", str(tmp_path / "z")]) == 2
    assert "no network is left" in capsys.readouterr().err
    assert not (tmp_path / "z").exists()
