"""What a configuration is read from: regular files and pipes, of a bounded size, and nothing that never ends."""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from weightspace.cli import config_text
from weightspace.cli.main import main

TASK = "weightspace.tasks.SupervisedTask"
#: Every kind of option for whose value jsonargparse takes a file.
OPTIONS = {
    "config": ["-c", "NAME"],
    "whole word": ["--config=NAME"],
    "class": ["--model", "NAME"],
    "group": ["--data", "NAME"],
    "list": ["--trainer.callbacks", "NAME"],
    "class or list": ["--trainer.logger", "NAME"],
    "class within a class": ["--model", TASK, "--model.backbone", "NAME"],
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_text, "WRITER_SECONDS", 0.05)
    os.mkfifo("fifo.yaml")
    Path("large.yaml").touch()
    os.truncate("large.yaml", 1 << 40)  # sparse
    Path("zero.yaml").symlink_to("/dev/zero")


@pytest.mark.timeout(120, func_only=True)  # a fifo without a writer would be waited for forever
@pytest.mark.parametrize(
    ("name", "found"),
    [("fifo.yaml", "is a fifo without a writer"), ("large.yaml", "1,099,511,627,776 bytes are too many")],
)
@pytest.mark.parametrize("option", OPTIONS)
def test_what_does_not_end_is_refused_at_once(
    option: str, name: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *(word.replace("NAME", name) for word in OPTIONS[option])]) == 2
    said = capsys.readouterr().err
    assert f"{name}: {found}" in " ".join(said.split())
    assert len(said.splitlines()) == 1
    assert not Path("runs").exists()


@pytest.mark.timeout(120, func_only=True)
@pytest.mark.parametrize("name", ["zero.yaml", "/dev/zero", "local:///dev/zero", "folder"])
def test_devices_and_folders_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    assert main(["fit", "-c", name]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert len(said.splitlines()) == 1


@pytest.mark.timeout(120, func_only=True)
def test_pipes_and_standard_input_are_read_within_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config_text, "WRITER_SECONDS", 10)

    def write() -> None:
        with suppress(BrokenPipeError), Path("fifo.yaml").open("wb", buffering=0) as pipe:
            while True:
                pipe.write(b"# more\n" * 10_000)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert main(["fit", "-c", "fifo.yaml"]) == 2
    writer.join(10)
    assert not writer.is_alive()
    monkeypatch.setattr(sys, "stdin", io.StringIO("#" * (config_text.LIMIT + 1)))
    assert main(["fit", "-c", "-"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "fifo.yaml: more than 4,000,000 bytes are too many" in said
    assert "standard input: more than 4,000,000 characters are too many" in said
