"""Checkpoints from addresses whose answers change, are cut, or would run code: what was checked is what is used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.plugins.io import AsyncCheckpointIO
from weightspace.backbones import MLP
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import guard, read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.tasks import SupervisedTask


class Payload:
    """What a loader that unpickles would run."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("unpickled",)


class Server(ThreadingHTTPServer):
    """Gives its first answer once, then the second; cuts each after so many bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answers: list[bytes] = []
        self.cut: int | None = None
        self.given = 0

    def address(self, *answers: bytes, cut: int | None = None) -> str:
        self.answers, self.cut, self.given = list(answers), cut, 0
        return f"http://127.0.0.1:{self.server_port}/x.ckpt"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._head(len(self.server.answers[0]))

    def do_GET(self) -> None:
        server = self.server
        content = server.answers[min(server.given, len(server.answers) - 1)]
        server.given += 1
        self._head(len(content))
        self.wfile.write(content[: server.cut])

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def trained(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a YAML and its run of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    task = {"backbone": {"class_path": "MLP", "init_args": {"hidden": 4}}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": task},
        "data": {"zoo": str(digits_zoo), "batch_size": 64},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    (folder / "x.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(folder / "x.yaml"), "--runs", str(folder / "runs")]) == 0
    return folder


@pytest.fixture
def good(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.chdir(tmp_path)
    return (trained / "runs/x/0/checkpoints/best.ckpt").read_bytes()


@pytest.fixture
def evil(tmp_path: Path) -> bytes:
    torch.save({"state_dict": Payload()}, tmp_path / "evil.ckpt")
    return (tmp_path / "evil.ckpt").read_bytes()


pytestmark = [  # what Lightning says of a checkpoint that another run has written
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:Be aware that when using .ckpt_path."),
]


@pytest.mark.parametrize("options", [[], ["--trainer.enable_checkpointing", "false"], ["--trainer.fast_dev_run", "1"]])
def test_what_was_checked_is_used_whatever_is_answered_next(
    options: list[str], trained: Path, server: Server, good: bytes, evil: bytes
) -> None:
    for command in ("test", "fit"):
        arguments = [command, "-c", str(trained / "x.yaml"), *options, "--runs", "runs"]
        assert main([*arguments, "--ckpt_path", server.address(good, evil)]) == 0
        assert server.given == 1
    assert not Path("unpickled").exists()


def test_checkpoints_are_written_to_addresses_and_read_from_there(trained: Path, good: bytes) -> None:
    own = "{class_path: ModelCheckpoint, init_args: {dirpath: 'memory://bucket/x', filename: mine}}"
    arguments = ["fit", "-c", str(trained / "x.yaml"), "--runs", "runs"]
    assert main([*arguments, f"--trainer.callbacks+={own}"]) == 0
    there, here = read_checkpoint("memory://bucket/x/mine.ckpt"), read_checkpoint("runs/x/0/checkpoints/best.ckpt")
    assert all(torch.equal(tensor, here["state_dict"][name]) for name, tensor in there["state_dict"].items())
    assert {path.name for path in Path.cwd().iterdir()} == {"runs"}
    resumed = [*arguments, "--trainer.max_epochs", "2", "--ckpt_path", "memory://bucket/x/mine.ckpt"]
    assert main(resumed) == 0
    assert read_checkpoint(RunFolder(Path("runs/x/0")).checkpoint("last"))["epoch"] == 1


def test_the_guard_is_not_turned_off(
    trained: Path, server: Server, good: bytes, evil: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["test", "-c", str(trained / "x.yaml"), "--ckpt_path", server.address(good, evil)]
    assert main([*arguments, "--weights_only", "false"]) == 2
    assert "no checkpoint is unpickled" in capsys.readouterr().err
    plugin = ["--trainer.plugins", "lightning.pytorch.plugins.io.TorchCheckpointIO"]
    assert main([*arguments, "--runs", "runs", *plugin]) == 0
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("plugin", [None, TorchCheckpointIO, AsyncCheckpointIO])
def test_a_plain_trainer_unpickles_nothing(
    plugin: Callable[[], TorchCheckpointIO] | None, digits_zoo: Path, server: Server, good: bytes, evil: bytes
) -> None:
    plugins = [] if plugin is None else [plugin()]
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "max_epochs": 2}
    trainer = pl.Trainer(**options, plugins=plugins, accelerator="cpu", enable_checkpointing=False)
    task, data = SupervisedTask(lambda spec, out: MLP(spec, out, hidden=4)), ZooDataModule(str(digits_zoo))
    for weights_only in (None, False):
        with pytest.raises(ConfigError, match="It is not unpickled"):
            trainer.test(task, data, ckpt_path=server.address(evil), weights_only=weights_only)
    with pytest.raises(ConfigError, match="It is not unpickled"):
        SupervisedTask.load_from_checkpoint(server.address(evil), weights_only=False)
    assert not Path("unpickled").exists()
    trainer.test(task, data, ckpt_path=server.address(good), verbose=False)


def test_a_plugin_of_the_user_writes(tmp_path: Path) -> None:
    written = []

    class Own(TorchCheckpointIO):
        def save_checkpoint(self, checkpoint: dict, path: object, storage_options: object = None) -> None:
            written.append(path)

    trainer = pl.Trainer(plugins=[Own()], logger=False, accelerator="cpu", enable_model_summary=False)
    guard(trainer)
    guard(trainer)
    trainer.strategy.checkpoint_io.save_checkpoint({}, "x")
    assert written == ["x"]


def test_no_altered_bit_ends_in_another_error(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(2)}}, tmp_path / "x.ckpt")
    content = (tmp_path / "x.ckpt").read_bytes()
    refused = 0
    for place in range(len(content)):
        (tmp_path / "y.ckpt").write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
        try:
            read_checkpoint(tmp_path / "y.ckpt")
        except ConfigError:
            refused += 1
    assert refused > len(content) // 4


def test_a_body_that_is_cut_is_told_in_one_message(
    trained: Path, server: Server, good: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    address = server.address(good, cut=1_000)
    assert main(["test", "-c", str(trained / "x.yaml"), "--ckpt_path", address]) == 2
    said = capsys.readouterr().err
    assert f"{address} is not a readable checkpoint" in " ".join(said.split())
    assert "Traceback" not in said
