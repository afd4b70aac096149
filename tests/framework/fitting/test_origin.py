"""What a zoo's own file says of its source decides neither what is imported nor, unsaid, what is read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from weightspace.cli.main import main
from weightspace.zoo.header import FILE, ZooHeader

#: A source of the user's own; importing it leaves a trace.
BOARDS = """
from pathlib import Path
import numpy as np
from weightspace.sources import ImageSource

Path(__file__).with_name("imported").touch()

def boards(folder: str = "") -> ImageSource:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    return ImageSource("boards", images, np.arange(6) % 2, ("a", "b"), 6, arguments={"folder": folder})
"""
FIT = ["zoo", "fit", "--recipe", "siren", "--set", "steps=2", "hidden=[4]", "--train", "4", "--mode", "eager"]


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a source that is named by a dotted path; nothing of it is imported any more."""
    (tmp_path / "own_boards.py").write_text(BOARDS)
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "z"
    assert main([*FIT, "--source", "own_boards.boards", "--source_set", "folder=x", "--out", str(out)]) == 0
    del sys.modules["own_boards"]
    (tmp_path / "imported").unlink()
    return out


def test_a_file_imports_nothing(zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show = ["show", str(zoo), "--out", str(tmp_path / "z.png"), "--count", "2"]
    content = (zoo / "shards/00000.safetensors").read_bytes()
    for command in (["verify", str(zoo)], ["repair", str(zoo)], show):
        if command[0] == "repair":
            (zoo / "shards/00000.safetensors").write_bytes(content[:-1])
        assert main(["zoo", *command]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "is not imported because a file names it" in said
        assert "give source own_boards.boards" in said
        assert main(["zoo", *command, "--source", "own_boards.others"]) == 2
        assert "source own_boards.others: the zoo" in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "imported").exists()
        assert "own_boards" not in sys.modules
        assert main(["zoo", *command, "--source", "own_boards.boards"]) == 0
        assert (zoo / "shards/00000.safetensors").read_bytes() == content
        assert (tmp_path / "imported").exists()
        (tmp_path / "imported").unlink()
        del sys.modules["own_boards"]
        capsys.readouterr()


def test_a_name_that_a_distribution_offers_needs_no_word(digits_zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "verify", str(digits_zoo), "--sample", "2", "--source", "digits"]) == 0
    assert main(["zoo", "verify", str(digits_zoo), "--source", "shapes"]) == 2
    assert "was fitted to digits" in " ".join(capsys.readouterr().err.split())
    for command in (["verify", "--sample", "0"], ["repair", "--drop", "true"]):
        assert main(["zoo", command[0], str(digits_zoo), *command[1:], "--source", "digits"]) == 2
        assert "source has no effect with" in capsys.readouterr().err


def test_what_a_file_lets_us_read_is_told_before_it_is_read(
    tmp_path: Path, idx_family, capsys: pytest.CaptureFixture[str]
) -> None:
    idx_family(tmp_path / "idx", zipped=False)
    out = tmp_path / "z"
    assert main([*FIT, "--source", "idx", "--path", str(tmp_path / "idx"), "--out", str(out)]) == 0
    show = ["show", str(out), "--out", str(tmp_path / "z.png"), "--count", "2"]
    told = f"zoo.json says: path={tmp_path / 'idx'} (path gives another folder)"
    for command in (["verify", str(out)], show):
        capsys.readouterr()
        assert main(["zoo", *command]) == 0
        assert told in " ".join(capsys.readouterr().out.split())
        assert main(["zoo", *command, "--path", str(tmp_path / "idx")]) == 0
        assert "zoo.json says: path" not in " ".join(capsys.readouterr().out.split())
    header = ZooHeader.read(out)
    header.provenance["source_arguments"]["path"] = "/nowhere\x1b[2J"
    (out / FILE).write_text(header.to_text())
    assert main(["zoo", "verify", str(out)]) == 2
    assert "zoo.json says: path=/nowhere\\x1b[2J (path gives another" in " ".join(capsys.readouterr().out.split())
