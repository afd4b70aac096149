from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from folders import contents
from weightspace.cli.main import main
from weightspace.errors import WeightspaceError, ZooError
from weightspace.fitting import job
from weightspace.fitting.repair import repair_zoo
from weightspace.fitting.verify import verify
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader
from weightspace.zoo.lock import ZooLock
from weightspace.zoo.shard import read_shard, write_shard

FIT = ["zoo", "fit", "--source", "digits", "--recipe", "siren", "--set", "steps=9", "hidden=[4, 4]", "--train", "60"]


@pytest.fixture(scope="module")
def three_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("zoo") / "z"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SHARD_ROWS", 25)
        assert main([*FIT, "--out", str(out)]) == 0
    return out


@pytest.fixture
def zoo(three_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(job, "SHARD_ROWS", 25)
    return Path(shutil.copytree(three_shards, tmp_path / "moved"))


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_damaged_shard_is_fitted_again_to_the_same_bytes(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(zoo)
    others = (zoo / "shards/00000.safetensors").stat().st_mtime_ns
    flip(zoo / "shards/00001.safetensors", 5000)
    (zoo / "shards/00002.safetensors").unlink()
    assert main(["zoo", "info", str(zoo)]) == 2
    assert main(["zoo", "repair", str(zoo)]) == 0
    out = capsys.readouterr().out
    assert "damaged: " in out
    assert "00001.safetensors: 25 networks fitted again, the same bytes as before" in out
    assert "00002.safetensors: 10 networks fitted again" in out
    assert contents(zoo) == before
    assert (zoo / "shards/00000.safetensors").stat().st_mtime_ns == others, "intact shards are not written"
    assert main(["zoo", "repair", str(zoo)]) == 0
    assert "nothing to repair: all 3 shards are intact" in capsys.readouterr().out


def test_other_bytes_are_told(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A zoo as another machine's rounding would have made it, whole, then damaged."""
    header = ZooHeader.read(zoo)
    tensors = {name: tensor.clone() for name, tensor in read_shard(zoo, header.shards[1], header).items()}
    header.shards[1] = write_shard(zoo, 1, {**tensors, "params": tensors["params"] * (1 + 1e-6)})
    (zoo / FILE).write_text(header.to_text())
    whole = Zoo(zoo).params(torch.arange(60)).clone()
    flip(zoo / "shards/00001.safetensors", 5000)
    assert main(["zoo", "repair", str(zoo)]) == 0
    assert "other bytes than before (versions or machine differ)" in capsys.readouterr().out
    repaired = Zoo(zoo)
    difference = (repaired.params(torch.arange(60)) - whole).abs().amax(1)
    assert difference[25:50].min() > 0
    assert difference[:25].max() == difference[50:].max() == 0
    assert torch.equal(repaired.params(torch.arange(25, 50)), tensors["params"])
    assert repaired.header.provenance["repairs"][0]["shard"] == "00001.safetensors"
    assert main(["zoo", "verify", str(zoo), "--sample", "60"]) == 0


def test_dropping(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Zoo(zoo).params(torch.arange(60))
    flip(zoo / "shards/00001.safetensors", 5000)
    assert main(["zoo", "repair", str(zoo), "--drop", "true"]) == 0
    assert "35 networks are left" in capsys.readouterr().out
    left = Zoo(zoo)
    assert torch.equal(left.params(torch.arange(35)), torch.cat([kept[:25], kept[50:]]))
    assert main(["zoo", "verify", str(zoo)]) == 0
    for path in (zoo / "shards").iterdir():
        flip(path, 5000)
    assert main(["zoo", "repair", str(zoo), "--drop", "true"]) == 2
    assert "nothing would be left" in capsys.readouterr().err
    assert len(list((zoo / "shards").iterdir())) == 2


def test_a_cut_between_two_dropped_shards_forgets_neither(zoo: Path) -> None:
    for name in ("00001", "00002"):
        flip(zoo / f"shards/{name}.safetensors", 5000)
    steps = repair_zoo(zoo, drop=True)
    assert "25 networks dropped" in next(line for line in steps if "networks dropped" in line)
    steps.close()
    repairs = ZooHeader.read(zoo).provenance["repairs"]
    assert {note["shard"]: note["dropped"] for note in repairs} == {
        "00001.safetensors": 25,
        "00002.safetensors": 10,
    }
    flip(zoo / "shards/00000.safetensors", 5000)
    assert main(["zoo", "repair", str(zoo)]) == 0, "what is left can be fitted again"


def test_what_was_imported_cannot_be_fitted_again(
    zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo", "export", str(zoo), "--format", "numpy", "--out", str(tmp_path / "files")]) == 0
    assert main(["zoo", "import", str(tmp_path / "files"), "--format", "numpy", "--out", str(tmp_path / "again")]) == 0
    flip(tmp_path / "again/shards/00000.safetensors", 5000)
    assert main(["zoo", "repair", str(tmp_path / "again")]) == 2
    assert "import them again" in capsys.readouterr().err


def test_one_writer_at_a_time_and_no_stale_lock(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys, time; from pathlib import Path; from weightspace.zoo.lock import ZooLock;"
        "lock = ZooLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(zoo)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for command in (["zoo", "repair", str(zoo)], [*FIT, "--out", str(zoo)]):
            assert main(command) == 2
            assert "another process is writing the zoo" in capsys.readouterr().err
        assert len(Zoo(zoo)) == 60, "reading needs no lock"
    finally:
        holder.kill()
        holder.communicate()
    assert main(["zoo", "repair", str(zoo)]) == 0
    lock = ZooLock(zoo)
    lock.acquire()
    with pytest.raises(ZooError, match="another process"):
        ZooLock(zoo).acquire()
    lock.release()


def test_a_read_only_zoo_is_read(zoo: Path, tmp_path: Path) -> None:
    for path in [*zoo.rglob("*"), zoo]:
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    try:
        before = sorted(zoo.rglob("*"))
        assert main(["zoo", "verify", str(zoo)]) == 0
        assert main(["zoo", "show", str(zoo), "--count", "2", "--out", str(tmp_path / "z.png")]) == 0
        assert sorted(zoo.rglob("*")) == before
    finally:
        for path in [zoo, *zoo.rglob("*")]:
            os.chmod(path, 0o755)


@pytest.mark.parametrize("file", ["zoo.json", "shards/00001.safetensors"])
def test_any_flipped_bit_is_found(zoo: Path, file: str) -> None:
    """Every seventh byte and more, of text, header and numbers, one bit each."""
    path = zoo / file
    whole = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for byte in range(0, len(whole), 7 if file == "zoo.json" else 61):
        flip(path, 8 * byte + int(torch.randint(8, (), generator=generator)))
        with pytest.raises(WeightspaceError):
            pytest.fail(f"byte {byte}: {list(verify(Zoo(zoo), 0))}")
        path.write_bytes(whole)
    assert main(["zoo", "verify", str(zoo)]) == 0
    flip(path, 8 * (len(whole) // 2))
    assert main(["zoo", "verify", str(zoo), "--sample", "0"]) == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("plan", {"train": 60, "val": 0, "test": 0, "views": 10**12, "eval_views": 1, "seed": 0}, "networks at most"),
        (
            "plan",
            {"train": 70, "val": 10, "test": 0, "views": 1, "eval_views": 1, "seed": 0},
            "has the plan of 4 shards",
        ),
        ("recipe", {"hidden": [5, 4], "steps": 9}, "its source and recipe make 2-5-4-1 sine"),
        ("recipe", {"hidden": [4, 4], "steps": 10**12}, "steps must be in 1..1,000,000"),
        ("device", "meta", "device 'meta' cannot be used here"),
    ],
)
def test_a_provenance_that_is_not_the_zoos_makes_nothing(
    zoo: Path, key: str, value: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    header = ZooHeader.read(zoo)
    header.provenance[key] = value
    (zoo / FILE).write_text(header.to_text())
    (zoo / "shards/00002.safetensors").unlink()
    before = contents(zoo)
    assert main(["zoo", "repair", str(zoo)]) == 2
    assert message in capsys.readouterr().err
    assert contents(zoo) == before
