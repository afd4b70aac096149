from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ZooError
from weightspace.fitting.origin import source_of
from weightspace.fitting.quality import psnr
from weightspace.fitting.verify import verify
from weightspace.network import decode
from weightspace.zoo import Zoo
from weightspace.zoo.contents import CHUNK, Looked, read_through
from weightspace.zoo.header import ZooHeader


@pytest.fixture
def copy(digits_zoo: Path, tmp_path: Path) -> Path:
    """A zoo that may be damaged; moved and renamed, too."""
    return Path(shutil.copytree(digits_zoo, tmp_path / "renamed"))


def test_anyone_can_read_it(digits_zoo: Path, zoo: Zoo) -> None:
    header = json.loads((digits_zoo / "zoo.json").read_text())
    assert (header["format"], header["spec"]["widths"]) == (1, [2, 8, 8, 1])
    tensors = safetensors.torch.load_file(digits_zoo / "shards" / header["shards"][0]["file"])
    shapes = {name: (str(t.dtype), tuple(t.shape)) for name, t in tensors.items()}
    assert shapes == {
        "params": ("torch.float32", (220, 105)),
        "target": ("torch.int64", (220,)),
        "object": ("torch.int64", (220,)),
        "view": ("torch.int64", (220,)),
        "split": ("torch.uint8", (220,)),
        "quality": ("torch.float32", (220, 1)),
    }
    assert torch.equal(tensors["params"], zoo.params(torch.arange(220)))


def test_splits_are_by_object(zoo: Zoo) -> None:
    objects = {split: set(zoo.objects[zoo.rows(split)].tolist()) for split in ("train", "val", "test")}
    assert [len(o) for o in objects.values()] == [60, 20, 20]
    assert not objects["train"] & objects["val"]
    assert not objects["train"] & objects["test"]
    assert not objects["val"] & objects["test"]
    first = zoo.rows("train", first_view_only=True)
    assert len(first) == 60
    assert zoo.views[first].unique().tolist() == [0]


def test_stored_quality_and_targets_are_those_of_the_source(zoo: Zoo) -> None:
    source = source_of(zoo.path, zoo.header)
    rows = torch.arange(len(zoo))
    batch = zoo.batch(rows)
    found = psnr(decode(batch, source.coordinates(), zoo.value_range), source.values(batch.objects))
    assert (found - zoo.quality[:, 0]).abs().max() < 1e-3
    assert batch.targets.tolist() == source.labels[batch.objects.numpy()].tolist()
    assert batch.num_classes == 10


def test_rows_across_shards(digits_zoo: Path, tmp_path: Path, zoo: Zoo) -> None:
    from weightspace.zoo.writer import ZooWriter

    everything = torch.arange(len(zoo))
    header = ZooHeader(zoo.spec, zoo.header.target, ["psnr"], {}, [])
    columns = {"target": zoo.targets, "object": zoo.objects, "view": zoo.views, "split": zoo.splits}
    with ZooWriter(tmp_path / "split", {}, header) as writer:
        for rows in everything.split(70):
            tensors = {name: column[rows] for name, column in columns.items()}
            writer.write({"params": zoo.params(rows), "quality": zoo.quality[rows], **tensors}, [])
        writer.finish()
    split = Zoo(tmp_path / "split")
    assert len(split.header.shards) == 4
    rows = torch.randperm(len(zoo), generator=torch.Generator().manual_seed(0))
    assert torch.equal(split.params(rows), zoo.params(rows))
    try:
        torch.set_default_dtype(torch.float64)  # as Lightning does while it builds a model in 64-true
        assert torch.equal(split.params(rows), zoo.params(rows))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(split.objects, zoo.objects)


def test_verify_holds_for_a_moved_zoo(copy: Path) -> None:
    lines = list(verify(Zoo(copy), sample=32))
    assert len(lines) == 3
    assert "32 networks: PSNR" in lines[2]


def test_verify_holds_for_exact_fits(copy: Path) -> None:
    opened = Zoo(copy)
    opened.quality = torch.full_like(opened.quality, 130.0)  # float32 evaluates such fits to within its rounding
    with pytest.raises(ZooError, match="is stored with 130.00 dB, but has"):
        list(verify(opened, sample=4))


def shard(folder: Path) -> Path:
    return folder / "shards" / "00000.safetensors"


def rewrite(folder: Path, name: str, change) -> None:
    """Changes one tensor of the shard and lists the new file, as a careless tool would."""
    import hashlib

    from weightspace.zoo.header import digest

    tensors = safetensors.torch.load_file(shard(folder))
    tensors[name] = change(tensors[name])
    safetensors.torch.save_file(tensors, shard(folder))
    data = json.loads((folder / "zoo.json").read_text())
    content = shard(folder).read_bytes()
    data["shards"][0] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    data.pop("digest")
    (folder / "zoo.json").write_text(json.dumps({**data, "digest": digest(data)}, indent=1, sort_keys=True) + "\n")


def test_a_truncated_shard_is_named(copy: Path) -> None:
    content = shard(copy).read_bytes()
    shard(copy).write_bytes(content[:-100])
    with pytest.raises(
        ZooError, match=rf"00000.safetensors .*expected {len(content)} bytes, found {len(content) - 100}"
    ):
        Zoo(copy)


def test_a_missing_shard_is_named(copy: Path) -> None:
    shard(copy).unlink()
    with pytest.raises(ZooError, match=r"00000.safetensors is missing: zoo.json lists it with 220 networks"):
        Zoo(copy)


def test_one_flipped_bit_is_found_by_verify(copy: Path) -> None:
    content = bytearray(shard(copy).read_bytes())
    content[-1] ^= 1
    shard(copy).write_bytes(content)
    with pytest.raises(ZooError, match=r"00000.safetensors was altered: expected sha256"):
        list(verify(Zoo(copy), sample=0))


def test_a_foreign_shard_is_named(copy: Path) -> None:
    size = shard(copy).stat().st_size
    shard(copy).write_bytes(b"\xff" * size)
    with pytest.raises(ZooError, match=r"00000.safetensors is not a readable safetensors file"):
        Zoo(copy, check=False)


def test_another_shape_is_named(copy: Path) -> None:
    rewrite(copy, "params", lambda p: p[:, :-1].contiguous())
    with pytest.raises(
        ZooError, match=r"params should be torch.float32 \(220, 105\), found torch.float32 \(220, 104\)"
    ):
        Zoo(copy)


def test_nan_is_found_by_verify(copy: Path) -> None:
    rewrite(copy, "params", lambda p: p.index_fill(0, torch.tensor([5]), float("nan")))
    with pytest.raises(ZooError, match=r"network 5 \(object .*\) has weights that are NaN or infinite; `weightspace"):
        list(verify(Zoo(copy), sample=0))
    rewrite(copy, "params", lambda p: p.index_fill(0, torch.tensor([7, 9]), float("inf")))
    with pytest.raises(ZooError, match=r"network 5 .* \(the first of 3 such networks, of 220 in this file\)"):
        ZooDataModule(copy)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("params", float("nan"), "has weights that are NaN or infinite"),
        ("params", float("-inf"), "has weights that are NaN or infinite"),
        ("target", 10, "has a label beyond the 10 classes"),
        ("target", -1, "has a label beyond the 10 classes"),
        ("split", 4, "is of no known split"),
        ("view", -1, "has a negative number of object or view"),
    ],
)
def test_networks_that_a_zoo_may_not_hold_are_named(
    copy: Path, zoo: Zoo, column: str, value: float, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(copy, column, lambda t: t.index_fill(0, torch.tensor([5]), value))
    place = rf"network 5 \(object {int(zoo.objects[5])}, view {value if column == 'view' else int(zoo.views[5])}\)"
    for _ in range(2):  # also where this process has seen the file before
        with pytest.raises(ZooError, match=f"{place} {message}; `weightspace zoo repair {copy}`"):
            Zoo(copy)
    with pytest.raises(ZooError, match=f"{place} {message}"):
        list(verify(Zoo(copy, check=False), sample=0))
    assert main(["zoo", "repair", str(copy)]) == 0
    assert "220 networks fitted again" in capsys.readouterr().out
    assert torch.equal(Zoo(copy).params(torch.arange(220)), zoo.params(torch.arange(220)))


def test_swapped_networks_are_found_by_verify(copy: Path) -> None:
    rewrite(copy, "params", lambda p: p.flip(0).contiguous())
    with pytest.raises(ZooError, match="is stored with .* dB, but has"):
        list(verify(Zoo(copy), sample=16))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"seed": 0', '"seed": 1'), "was altered: its digest should be"),
        (lambda text: text.replace('"format": 1', '"format": 3'), "reads zoo formats 1 and 2, found format 3"),
        (lambda text: text[:-40], "cannot be read as JSON"),
        (lambda text: "[]", "should be a JSON object, found list"),
    ],
)
def test_an_altered_header_is_named(copy: Path, change, message: str) -> None:
    path = copy / "zoo.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ZooError, match=f"zoo.json.*{message}"):
        Zoo(copy)


def test_no_zoo_there(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="there is no such folder.*zoo fit"):
        Zoo(tmp_path / "nowhere")
    with pytest.raises(ZooError, match=r"the folder has no zoo\.json"):
        Zoo(tmp_path)
    (tmp_path / "journal.jsonl").write_text("{}\n")
    with pytest.raises(ZooError, match="is unfinished"):
        Zoo(tmp_path)


@pytest.mark.parametrize("place", [0, CHUNK // 4, 3 * CHUNK // 4 + 77, 299_999])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_pass_finds_the_checksum_and_what_is_not_finite(place: int, value: float, tmp_path: Path) -> None:
    """Also across the pieces in which a file is read; numbers whose squares are too large are finite."""
    params = torch.full((300, 1000), 3e38)
    columns = {"object": torch.arange(300), "split": torch.zeros(300, dtype=torch.uint8)}
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"params": params, **columns}, path)
    assert read_through(path) == Looked(hashlib.sha256(path.read_bytes()).hexdigest(), 300_000, None)
    params.view(-1)[place] = params.view(-1)[-1] = value
    safetensors.torch.save_file({"params": params, **columns}, path)
    assert read_through(path) == Looked(hashlib.sha256(path.read_bytes()).hexdigest(), 300_000, place)
