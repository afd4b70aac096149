"""Unfinished zoos whose journal was altered, or whose shards were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from weightspace.errors import ZooError
from weightspace.zoo import Zoo, ZooWriter, journal
from weightspace.zoo.header import ZooHeader, digest

#: Shards of 70 networks.
SIZES = [70, 70, 70, 10]
JOB = {"plan": {"train": 60, "val": 20, "test": 20, "views": 3, "eval_views": 1, "seed": 0}, "mode": "eager"}


def writer(folder: Path, zoo: Zoo) -> ZooWriter:
    return ZooWriter(folder, JOB, ZooHeader(zoo.spec, zoo.header.target, ["psnr"], JOB, []), sizes=SIZES)


def write(writer: ZooWriter, zoo: Zoo, *numbers: int) -> None:
    for number in numbers:
        rows = torch.arange(len(zoo)).split(70)[number]
        columns = {"target": zoo.targets, "object": zoo.objects, "view": zoo.views, "split": zoo.splits}
        tensors = {name: column[rows] for name, column in columns.items()}
        writer.write({"params": zoo.params(rows), "quality": zoo.quality[rows], **tensors}, [], number)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def cut(tmp_path: Path, zoo: Zoo) -> Path:
    """A zoo with two of four shards."""
    with writer(tmp_path / "cut", zoo) as unfinished:
        write(unfinished, zoo, 0, 1)
    return tmp_path / "cut"


def go_on(folder: Path, zoo: Zoo) -> list[int]:
    """Ends a zoo; returns the shards that were written."""
    with writer(folder, zoo) as unfinished:
        missing = [number for number in range(4) if number not in unfinished.done]
        write(unfinished, zoo, *missing)
        unfinished.finish()
    return missing


def change(folder: Path, number: int, signed: bool, **fields: Any) -> None:
    """Changes a line of the journal, with a digest that fits, or as it was."""
    path = folder / journal.JOURNAL
    lines = path.read_bytes().splitlines()
    data = {**json.loads(lines[number]), **fields}
    if signed:
        data.pop("digest")
        data["digest"] = digest(data)
    lines[number] = json.dumps(data, sort_keys=True).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")


def test_every_line_has_a_digest_of_itself(cut: Path) -> None:
    lines = [json.loads(line) for line in (cut / journal.JOURNAL).read_text().splitlines()]
    assert len(lines) == 3
    assert all(line.pop("digest") == digest(line) for line in lines)


@pytest.mark.parametrize(
    ("number", "fields", "message"),
    [
        (0, {"mode": "compiled"}, "line 1, was altered.*remove the folder to begin anew"),
        (1, {"rows": 1_000_000_044}, "line 2, was altered.*remove the line, so that its shard is made again"),
        (2, {"failed": [{"object": 1, "view": 0, "reason": "diverged twice"}]}, "line 3, was altered"),
        (2, {"digest": 7}, "line 3, was altered"),
    ],
)
def test_an_altered_line_is_refused(cut: Path, zoo: Zoo, number: int, fields: dict[str, Any], message: str) -> None:
    change(cut, number, signed=False, **fields)
    before = contents(cut)
    with pytest.raises(ZooError, match=rf"journal\.jsonl, {message}"):
        go_on(cut, zoo)
    assert contents(cut) == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rows": 1_000_000_044}, "lists 1000000044 networks in 00001.safetensors, where 70 are planned"),
        ({"file": "00007.safetensors"}, "lists 70 networks in 00007.safetensors, where 0 are planned"),
        ({"file": "../x.safetensors"}, "file should be the name of a shard"),
        ({"rows": -3}, "rows should be a whole number >= 0"),
        ({"rows": 2**70}, "a number is out of range"),
        ({"rows": True}, "rows should be a whole number >= 0"),
        ({"sha256": "x"}, "sha256 should be a checksum"),
        ({"failed": [3]}, "failed should be a list"),
        ({"failed": {}}, "failed should be a list"),
        ({"more": 1}, "unknown field 'more'"),
        ({"file": "00000.safetensors"}, "which another line lists"),
    ],
)
def test_the_schema_holds_though_the_digest_fits(cut: Path, zoo: Zoo, fields: dict[str, Any], message: str) -> None:
    change(cut, 2, signed=True, **fields)
    with pytest.raises(ZooError, match=f"{message}.*remove the line"):
        go_on(cut, zoo)


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b'{"file": 1, "file": 2}', b'{"rows": NaN}', b"[" * 5000])
def test_a_line_that_is_no_object_is_refused(cut: Path, zoo: Zoo, line: bytes) -> None:
    with (cut / journal.JOURNAL).open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(ZooError, match=r"journal\.jsonl, line 4,.*remove the line"):
        go_on(cut, zoo)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "fewer"])
def test_a_shard_that_is_not_whole_is_made_again(cut: Path, zoo: Zoo, tmp_path: Path, damage: str) -> None:
    path = cut / "shards" / "00001.safetensors"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "fewer":  # the file is the listed one, but does not hold the rows that the line claims
        change(cut, 2, signed=True, rows=69)
    else:
        path.write_bytes(content[:-1] + b"\x77" if damage == "flip" else content[:-100])
    assert go_on(cut, zoo) == [1, 2, 3]
    assert go_on(tmp_path / "whole", zoo) == [0, 1, 2, 3]
    assert contents(cut) == contents(tmp_path / "whole")


def test_an_unfinished_zoo_of_an_earlier_version_goes_on(cut: Path, zoo: Zoo, tmp_path: Path) -> None:
    path = cut / journal.JOURNAL
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    old = [{key: value for key, value in line.items() if key != "digest"} for line in lines]
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in old))
    assert go_on(shutil.copytree(cut, tmp_path / "old"), zoo) == [2, 3]
    assert go_on(tmp_path / "whole", zoo) == [0, 1, 2, 3]
    assert contents(tmp_path / "old") == contents(tmp_path / "whole")
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in [lines[0], *old[1:]]))
    with pytest.raises(ZooError, match="line 2, has no digest"):
        go_on(cut, zoo)


def test_a_zoo_that_lacks_shards_is_not_finished(cut: Path, zoo: Zoo) -> None:
    with writer(cut, zoo) as unfinished, pytest.raises(ZooError, match="2 shards of .* are missing"):
        unfinished.finish()
    assert not (cut / "zoo.json").exists()


def test_what_would_break_the_format_is_refused_before_anything_is_written(zoo: Zoo, tmp_path: Path) -> None:
    header = ZooHeader(zoo.spec, zoo.header.target, ["psnr"], {"value_range": [0.0, float("nan")]}, [])
    with pytest.raises(ZooError, match="NaN is no number"):
        ZooWriter(tmp_path / "z", {}, header)
    assert not (tmp_path / "z").exists()
