"""No room for files: one message that names the file and what was needed, and nothing half written."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from warm import WarmCommand
from weightspace.backbones import MLP
from weightspace.backbones.artefact import save_backbone
from weightspace.callbacks.class_tables import ClassTables
from weightspace.cli.main import main
from weightspace.files import DiskFullError, hold, remove_leftover, whole_file, write_whole
from weightspace.runs.checkpoint_io import AtomicCheckpointIO
from weightspace.runs.folder import RunFolder
from weightspace.zoo import Zoo

Limited = Callable[[int], "contextmanager[None]"]


@contextmanager
def file_size(limit: int) -> Iterator[None]:
    """No file of this process may have more bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def experiment(digits_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    task = {"backbone": {"class_path": "MLP", "init_args": {"hidden": 256}}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": task},
        "data": {"zoo": str(digits_zoo)},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    return Path("x.yaml")


def test_a_file_that_finds_no_room_is_named_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    write_whole(path, b"old")
    for write in (
        lambda: write_whole(path, b"a" * 100_000),
        lambda: AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.zeros(25_000)}}, path),
    ):
        with file_size(50_000), pytest.raises(DiskFullError) as full:
            write()
        assert str(path) in str(full.value)
        assert "bytes are needed" in str(full.value)
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["x.ckpt"]


def test_training_ends_with_one_message_and_names_the_last_good_checkpoint(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", str(experiment)]) == 0
    folder = RunFolder(Path("runs/x/0"))
    good = folder.checkpoint("last")
    capsys.readouterr()
    with file_size(good.stat().st_size - 1):
        assert main(["fit", "-c", str(experiment), "--ckpt_path", "last", "--trainer.max_epochs", "2"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "checkpoints/" in said
    assert "bytes are needed" in said
    assert f"the last good checkpoint is {good}" in said
    assert folder.steps() == [good]
    assert not list(folder.path.glob("**/.*.tmp"))


@pytest.mark.parametrize("command", ["info", "show"])
def test_pictures(command: str, digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file_size(3_000):
        assert main(["zoo", command, str(digits_zoo), "--out", str(tmp_path / "f.png")]) == 2
    assert f"{tmp_path / 'f.png'} cannot be written" in " ".join(capsys.readouterr().err.split())
    assert not os.listdir(tmp_path)


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    write_whole(Path("a.png"), b"")
    monkeypatch.chdir(tmp_path)  # the same relative folder, and another one
    Path(".x.png.1.tmp").write_bytes(b"half")
    Path(".folder.1.tmp").mkdir()
    with Path(".y.png.1.tmp").open("wb") as held:
        hold(held.fileno())  # whatever its number says, on this machine or another
        write_whole(Path("z.png"), b"")
        assert sorted(os.listdir()) == [".folder.1.tmp", ".y.png.1.tmp", "other", "z.png"]
    remove_leftover(Path(".y.png.1.tmp"))
    assert not Path(".y.png.1.tmp").exists()


def test_a_file_that_is_being_written_is_held(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x") as file:
        file.write(b"new")
        (temporary,) = tmp_path.iterdir()
        remove_leftover(temporary)
    assert (tmp_path / "x").read_bytes() == b"new"


def test_tensorboards_thread(experiment: Path) -> None:
    """Its file grows with every step, and is written by a thread of its own."""
    options = ["--trainer.enable_checkpointing", "false", "--trainer.log_every_n_steps", "1"]
    small = ["--model.backbone.init_args.hidden", "2", "--data.batch_size", "4", "--trainer.max_epochs", "30"]
    with WarmCommand("fit", "-c", str(experiment), *options, *small, file_size=60_000) as running:
        _, said = running.communicate()
    assert running.returncode == 2
    assert said.startswith("error: runs/x/0 cannot be written: a quota or a limit of file sizes is reached")
    assert len(said.splitlines()) == 1
    (events,) = Path("runs/x/0").glob("events.out.tfevents.*")
    assert events.stat().st_size == 60_000, "it was this file"


def test_embeddings(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_backbone(MLP(Zoo(digits_zoo).spec, 16), tmp_path / "e.safetensors")
    out = tmp_path / "out.safetensors"
    command = ["embed", "--encoder", str(tmp_path / "e.safetensors"), "--zoo", str(digits_zoo), "--out", str(out)]
    with file_size(10_000):
        assert main(command) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{out} cannot be written: a quota or a limit of file sizes is reached: " in said
    assert "bytes are needed" in said
    assert os.listdir(tmp_path) == ["e.safetensors"]


def test_tables_of_classes(tmp_path: Path) -> None:
    names = [str(number) for number in range(10)]
    trainer = SimpleNamespace(is_global_zero=True, datamodule=SimpleNamespace(class_names=names))
    task = SimpleNamespace(confusions=lambda: {"test": torch.eye(10, dtype=torch.long)})
    tables = ClassTables(tmp_path, tmp_path / "pictures")
    with file_size(100), pytest.raises(DiskFullError) as full:
        tables.on_test_epoch_end(trainer, task)  # type: ignore[arg-type]
    assert f"{tmp_path}/pictures/confusion_test.csv cannot be written" in str(full.value)
    assert "bytes are needed" in str(full.value)
    assert not os.listdir(tmp_path / "pictures")


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"test": 7}', b"[" * 100_000, b"\xff"])
def test_damaged_metrics_are_told_in_one_message(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "x/0")
    folder.write_json("provenance.json", {"parameters": 3})
    folder.metrics_file.write_bytes(content)
    assert main(["report", str(tmp_path)]) == 2
    assert "metrics.json should be the metrics of a run" in " ".join(capsys.readouterr().err.split())
    folder.metrics_file.unlink()
    (folder.path / "provenance.json").write_bytes(content if b"test" not in content else b"[]")
    assert main(["report", str(tmp_path)]) == 2
    assert "provenance.json should be the provenance of a run" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../x", "below --runs, found '../../x'"),
        ("/tmp/x", "below --runs, found '/tmp/x'"),
        ("a/" + "x" * 300, "names of at most 255 bytes"),
    ],
)
def test_experiments_stay_below_runs(
    name: str, message: str, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", str(experiment), "--experiment", name]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert os.listdir() == ["x.yaml"]


def test_names_that_are_too_long(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    for command in (["zoo", "info", long], ["zoo", "info", str(digits_zoo), "--out", str(tmp_path / f"{long}.png")]):
        assert main(command) == 2
        assert "File name too long" in " ".join(capsys.readouterr().err.split())
    write_whole(tmp_path / ("x" * 255), b"")
