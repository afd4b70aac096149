"""Out and in again: the same zoo."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from weightspace.cli.main import main
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, write_zoo

SPEC = NetworkSpec((2, 4, 1), "sine", 5.0, 0.25)
CLASSES = ["owl", "10", "9", "nobody", " spaced ", 'a;b,"c"\td', "cat/dog", "Nobody", "ünïcode"]
FORMATS = pytest.mark.parametrize("format", ["folder", "numpy"])


def make_zoo(out: Path, targets: Tensor, names: list[str], seed: int = 0, **options: Any) -> Zoo:
    """As many networks as targets; two views of each object, of which the second of the first ones is held out."""
    n = len(targets)
    params = torch.randn(n, SPEC.num_params, generator=torch.Generator().manual_seed(seed))
    splits = [0, 3, 0, 0, 1, 1] + [2] * (n - 6)
    objects = torch.arange(n) // 2 + 7
    return write_zoo(out, params, SPEC, targets=targets, names=names, objects=objects, splits=splits, **options)


def out_and_in(zoo: Zoo, format: str) -> Zoo:
    files, again = zoo.path.with_name("files"), zoo.path.with_name("again")
    assert main(["zoo", "export", str(zoo.path), "--format", format, "--out", str(files)]) == 0
    assert main(["zoo", "import", str(files), "--format", format, "--out", str(again)]) == 0
    return Zoo(again)


def assert_same(before: Zoo, after: Zoo) -> None:
    assert after.header.target == before.header.target
    assert after.spec == before.spec
    order_before, order_after = (torch.from_numpy(np.lexsort((z.views, z.objects))) for z in (before, after))
    for column in ("targets", "objects", "views", "splits"):
        assert torch.equal(getattr(after, column)[order_after], getattr(before, column)[order_before]), column
    assert torch.equal(after.params(order_after), before.params(order_before))


@FORMATS
def test_classes_keep_order_and_numbers(tmp_path: Path, format: str) -> None:
    numbers = torch.tensor([0, 1, 2, 4, 5, 6, 7, 8, 0, 1]).repeat_interleave(2)
    assert 3 not in numbers, "nobody is of this class"
    zoo = make_zoo(tmp_path / "zoo", numbers, CLASSES)
    after = out_and_in(zoo, format)
    assert_same(zoo, after)
    assert after.class_names == CLASSES


@FORMATS
@pytest.mark.parametrize("names", [["test accuracy"], ["loss", "accuracy"]])
def test_numbers_keep_kind_and_names(tmp_path: Path, format: str, names: list[str]) -> None:
    values = torch.rand(10, len(names), generator=torch.Generator().manual_seed(1)) * 1e-3 - 1e-7
    zoo = make_zoo(tmp_path / "zoo", values, names, value_range=(-1, 1))
    after = out_and_in(zoo, format)
    assert_same(zoo, after)
    assert after.header.provenance["value_range"] == [-1.0, 1.0]


@FORMATS
@pytest.mark.parametrize("target", [[], ["--target", "class"]])
def test_the_value_range_of_fitted_networks_is_kept(tmp_path: Path, format: str, target: list[str]) -> None:
    few = ["--train", "4", "--val", "1", "--test", "1", "--mode", "eager", "--set", "steps=1", "--set", "hidden=[4]"]
    out, files, again = (str(tmp_path / name) for name in ("zoo", "files", "again"))
    assert main(["zoo", "fit", "--source", "digits", *few, "--set", "value_range=[-1,1]", "--out", out]) == 0
    assert main(["zoo", "export", out, "--format", format, "--out", files]) == 0
    assert main(["zoo", "import", files, "--format", format, *target, "--out", again]) == 0
    assert Zoo(out).value_range == Zoo(again).value_range == (-1.0, 1.0)


@FORMATS
def test_weights_that_have_changed_are_another_import(tmp_path: Path, format: str, capsys) -> None:
    zoo = make_zoo(tmp_path / "zoo", torch.arange(10) // 2 % 2, ["a", "b"])
    out_and_in(zoo, format)
    again = ["zoo", "import", str(tmp_path / "files"), "--format", format, "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert "finished already" in capsys.readouterr().out
    changed = make_zoo(tmp_path / "changed", torch.arange(10) // 2 % 2, ["a", "b"], seed=1)
    shutil.rmtree(tmp_path / "files")
    assert main(["zoo", "export", str(changed.path), "--format", format, "--out", str(tmp_path / "files")]) == 0
    assert main(again) == 2
    assert "other networks, weights, labels or splits than then" in capsys.readouterr().err


def test_the_working_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    zoo = make_zoo(tmp_path / "zoo", torch.zeros(10, dtype=torch.int64), ["a"])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["zoo", "export", str(zoo.path), "--out", "."]) == 2
    assert ". is the folder in which this runs, which cannot be replaced" in capsys.readouterr().err


def test_target_is_asked_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["b", "a", "nobody"]
    zoo = make_zoo(tmp_path / "zoo", torch.arange(10) // 2 % 2, names)
    files = tmp_path / "files"
    assert main(["zoo", "export", str(zoo.path), "--out", str(files)]) == 0
    command = ["zoo", "import", str(files), "--format", "folder", "--out", str(tmp_path / "again")]
    table = (files / "labels.csv").read_text()
    (files / "labels.csv").write_text(table.replace(",a,", ",new,"))
    assert main(command) == 2
    assert "the labels new are none of the classes that target.json names (b, a, nobody)" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()
    (files / "labels.csv").write_text(table)
    assert main([*command, "--target", "class"]) == 0
    assert Zoo(tmp_path / "again").class_names == ["a", "b"]


@pytest.mark.parametrize(
    "content", ["[", "{}", '{"kind": "class", "names": []}', '{"kind": "class", "names": ["a", "a"]}',
                '{"kind": "value", "names": ["a"], "value_range": [1, 1]}'],
)  # fmt: skip
def test_a_damaged_target(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", torch.zeros(10, dtype=torch.int64), ["a"])
    files = tmp_path / "files"
    assert main(["zoo", "export", str(zoo.path), "--format", "numpy", "--out", str(files)]) == 0
    (files / "target.json").write_text(content)
    assert main(["zoo", "import", str(files), "--format", "numpy", "--out", str(tmp_path / "again")]) == 2
    assert "target.json" in capsys.readouterr().err


@pytest.fixture
def some_zoo(tmp_path: Path) -> Zoo:
    return make_zoo(tmp_path / "zoo", torch.arange(600) // 2 % 2, ["a", "b"])


@FORMATS
def test_a_disk_that_takes_no_more_bytes(
    some_zoo: Zoo, tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        assert main(["zoo", "export", str(some_zoo.path), "--format", format, "--out", str(tmp_path / "files")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = capsys.readouterr().err
    assert "files cannot be written" in told
    assert f"at least {4 * SPEC.num_params * 600:,} bytes" in told
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


@pytest.mark.long
@FORMATS
def test_a_full_disk(some_zoo: Zoo, tmp_path: Path, format: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        command = [sys.executable, "-m", "weightspace", "zoo", "export", str(some_zoo.path), "--format", format]
        run = subprocess.run([*command, "--out", str(disk / "files")], capture_output=True, text=True)
        assert run.returncode == 2, run.stderr
        assert "No space left on device" in run.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_a_killed_export_left_is_removed(some_zoo: Zoo, tmp_path: Path) -> None:
    for name in (".files.1.tmp", f".files.{os.getpid()}.tmp", ".files2.1.tmp", ".files.x.tmp"):
        shutil.copytree(some_zoo.path / "shards", tmp_path / name / "train")
    assert main(["zoo", "export", str(some_zoo.path), "--out", str(tmp_path / "files")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".files.x.tmp", ".files2.1.tmp", "files", "zoo"]
    assert json.loads((tmp_path / "files/target.json").read_text()) == {"kind": "class", "names": ["a", "b"]}
