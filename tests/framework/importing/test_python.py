"""Import and export from Python: the same as by the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from weightspace.cli.main import main
from weightspace.errors import WeightspaceError
from weightspace.importing import export_zoo, import_zoo
from weightspace.zoo import Zoo


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_python_and_the_command_line_make_the_same_files(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_zoo(zoo, tmp_path / "files", format="numpy") == tmp_path / "files"
    again = import_zoo(tmp_path / "files", tmp_path / "z", format="numpy", value_range=(0, 1))
    assert again.header.target == zoo.header.target
    assert capsys.readouterr() == ("", ""), "nobody looks"
    files, out = str(tmp_path / "files_too"), str(tmp_path / "z_too")
    assert main(["zoo", "export", str(zoo.path), "--format", "numpy", "--out", files]) == 0
    assert main(["zoo", "import", str(tmp_path / "files"), "--format", "numpy", "--out", out]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"zoo of 220 networks at {out}"
    assert contents(tmp_path / "files_too") == contents(tmp_path / "files")
    assert contents(tmp_path / "z_too") == contents(tmp_path / "z")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "nmpy"}, "did you mean 'numpy'"),
        ({"source": "/nowhere"}, "there is nothing at /nowhere to import"),
        ({"labels": "table.csv"}, "labels: an option of folder, not of numpy"),
        ({"target": "classes"}, "target must be class or value"),
        ({"test": 3.5}, "test must be a whole number, at least 0, found 3.5"),
        ({"test": 3}, "leave val and test out"),
        ({"seed": 3}, "seed 3 has no effect"),
        ({"activation": "sine"}, "are in spec.json: leave them out"),
        ({"value_range": (1, 1)}, "value_range should be two different numbers"),
        ({"value_range": "ab"}, "value_range must be a finite number, found 'a'"),
    ],
)
def test_wrong_arguments_are_refused_in_words_of_python(
    exported: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightspaceError) as caught:
        import_zoo(**{"source": exported, "out": tmp_path / "z", "format": "numpy", **arguments})
    assert message in str(caught.value)
    assert "--" not in str(caught.value)
    assert not (tmp_path / "z").exists()


@pytest.fixture(scope="module")
def exported(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_zoo(digits_zoo, tmp_path_factory.mktemp("exports") / "files", format="numpy")
