from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.errors import SourceError
from weightspace.files.class_folders import class_folders

PNG = frozenset({".png"})


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def found(root: Path) -> list[list[str]]:
    return [
        [f"{kind}: {name}" for kind, name in pool] for pool in class_folders(root, PNG, "images", SourceError).pools
    ]


def test_without_splits(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.png", "cat/0.PNG", "a b/2.png", "train/3.png")
    assert found(tmp_path) == [["a b: a b/2.png", "cat: cat/0.PNG", "cat: cat/1.png", "train: train/3.png"], [], []]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "TEST"), ("train", "validation", "testing")]
)
def test_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    train, val, test = names
    make(tmp_path, f"{train}/cat/1.png", f"{train}/dog/1.png", f"{val}/cat/2.png", f"{test}/dog/3.png")
    assert found(tmp_path) == [
        [f"cat: {train}/cat/1.png", f"dog: {train}/dog/1.png"], [f"cat: {val}/cat/2.png"], [f"dog: {test}/dog/3.png"],
    ]  # fmt: skip


def test_splits_within_classes(tmp_path: Path) -> None:
    make(tmp_path, "cat/train/1.png", "cat/val/2.png", "dog/test/3.png")
    assert found(tmp_path) == [["cat: cat/train/1.png"], ["cat: cat/val/2.png"], ["dog: dog/test/3.png"]]


def test_strays_are_told(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.png", "0.png", "cat/deep/2.png", "cat/a.txt", "b.txt", "c.csv", "cat/._1.png", ".git/config")
    make(tmp_path, "__MACOSX/cat/1.png", "Thumbs.db", "cat/.ipynb_checkpoints/1-checkpoint.png")
    (tmp_path / "dog").mkdir()
    folders = class_folders(tmp_path, PNG, "images", SourceError)
    assert folders.pools[0] == [("cat", "cat/1.png")]
    left = dict(folders.left_out)
    where = "not in the folder of a class: expected <class>/<file>"
    assert left.pop("0.png") == left.pop("cat/deep/2.png") == where
    assert left.pop("dog") == "an empty folder"
    assert left.pop("b.txt") == "of another kind than .png, and 1 more like it"
    assert left.pop("c.csv") == "of another kind than .png"
    ((name, reason),) = left.items()
    assert (name, reason) == (".git", "hidden, or of another program, and 4 more like it")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/cat/1.png", "dog/1.png"], "dog/1.png is in no folder of a split"),
        (["train/1.png", "test/1.png"], "looks like the folder of one class"),
        (["test/cat/1.png", "val/dog/2.png"], "/train/<class>/, found none"),
        (["1.png"], "found none: 1 of them: not in the folder of a class"),
        ([], "found none: there are none"),
    ],
)
def test_what_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    make(tmp_path, *names)
    with pytest.raises(SourceError, match=message):
        found(tmp_path)
