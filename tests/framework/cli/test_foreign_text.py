"""Names that would write to the terminal, or into a spreadsheet, on their way through all commands."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main
from weightspace.zoo.header import FILE, ZooHeader

HOSTILE = ["[/red]", "\x1b[2J\x07", "=1+1", "two\nlines", "$x^$", "\u202eexe", "[bold", "\\", ":smile:", "@x"]


@pytest.fixture(scope="module")
def hostile_zoo(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with other class names and another past, in a folder of a strange name."""
    out = tmp_path_factory.mktemp("zoos") / "[/red]\x1b[2J"
    shutil.copytree(digits_zoo, out)
    header = ZooHeader.read(out)
    past = {"imported": {"format": HOSTILE[0]}, "import_path": "".join(HOSTILE), "versions": {"[/red]": "\x1b[31m"}}
    left_out = [{"path": name, "reason": name} for name in HOSTILE]
    target = {"kind": "class", "names": HOSTILE}
    (out / FILE).write_text(replace(header, target=target, provenance=past, left_out=left_out).to_text())
    return out


@pytest.fixture
def runs(hostile_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    task = {"backbone": {"class_path": "MLP", "init_args": {"hidden": 4}}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": task},
        "data": {"zoo": str(hostile_zoo), "augmentations": ["mixup"]},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    return Path("[/red]\x1b[2J$")


def assert_plain(text: str) -> None:
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]


def test_no_command_writes_them_raw(hostile_zoo: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo, run = str(hostile_zoo), ["-c", "x.yaml", "--runs", str(runs)]
    for command in (
        ["zoo", "info", zoo, "--out", f"{runs}.png"],
        ["zoo", "show", zoo, "--out", "s.png", "--count", "3"],
        ["augmentations", "show", "mixup", "--zoo", zoo, "--out", "m.png", "--side", "8", "--count", "3"],
        ["augmentations"],
        ["fit", *run],
        ["test", *run],
        ["predict", *run],
        ["report", str(runs), "--curves", "c.png"],
        ["report", str(runs), "--mean"],
    ):
        assert main(command) == 0, command
        said = "".join(capsys.readouterr())
        assert_plain(said)
        if "info" in command:
            assert all(name in said for name in ("[/red]", "\\x1b[2J\\x07", "two\\nlines", ":smile:", "[bold"))
    with (runs / "x/0/predictions.csv").open(newline="") as file:
        cells = {cell for row in csv.reader(file) for cell in row}
    assert {cell.lstrip("'") for cell in cells} & {"=1+1", "@x", "[/red]"}
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
    assert_plain("".join(cells))


def test_errors_show_them(hostile_zoo: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["zoo", "info", str(runs)], ["report", str(runs)], ["zoo", "fit\x1b[2J"], ["[/red]\x1b[2J"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert_plain(said)
        assert "\\x1b[2J" in said
