"""Studies whose zoo was made anew since: in the same way, which they say, or in another way, which they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from warm import WarmCommand
from weightspace.cli.main import main
from weightspace.runs.folder import RunFolder
from weightspace.runs.origin import digest_there, is_outdated, is_there, origin_there, origins_of
from weightspace.studies.record import Record
from weightspace.zoo.header import ZooHeader

pytestmark = pytest.mark.studies

BASE = {
    "model": {
        "class_path": "weightspace.tasks.SupervisedTask",
        "init_args": {"backbone": {"class_path": "MLP", "init_args": {"hidden": 8, "layers": 1}}},
    },
    "data": {"batch_size": 16, "zoo": "zoo"},
    "trainer": {"max_epochs": 1, "accelerator": "cpu"},
}
Say = Callable[..., tuple[int, str]]
RUN = RunFolder(Path("runs/studies/s/none/0"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, digits_zoo: Path) -> Path:
    """A study of one run, with its zoo."""
    folder = tmp_path_factory.mktemp("remade")
    shutil.copytree(digits_zoo, folder / "zoo")
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE))
    (folder / "s.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "seeds": [0], "variants": {"none": {}}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with WarmCommand("study", "s.yaml") as running:
            out, err = running.communicate()
    assert running.returncode == 0, f"{out}\n{err}"
    return folder


@pytest.fixture
def say(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the study in a copy of its folder, which is the working directory; returns the code and what it said."""
    shutil.copytree(finished, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")

    def say(*options: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["study", "s.yaml", *options])
        return code, " ".join("".join(capsys.readouterr()).split())

    return say


def make_anew(**said: Any) -> None:
    """Replaces ``zoo.json`` by that of a zoo that was made with another provenance."""
    header = ZooHeader.read(Path("zoo"))
    Path("zoo/zoo.json").write_text(replace(header, provenance={**header.provenance, **said}).to_text())


def made_with_another_seed() -> dict[str, Any]:
    return {"plan": {**ZooHeader.read(Path("zoo")).provenance["plan"], "seed": 1}}


def test_a_zoo_of_another_machine_is_said_and_not_refused(say: Say) -> None:
    assert "another making" not in say()[1]
    make_anew(versions={"torch": "another"})
    for options in ([], ["--dry-run"], ["--table"]):
        code, said = say(*options)
        assert code == 0
        assert "1 of 1 results are of another making of zoo than the one that is there" in said


def test_a_zoo_that_was_made_in_another_way_is_refused(say: Say) -> None:
    before = Path("s.study.json").read_bytes()
    header = Path("zoo/zoo.json").read_bytes()
    make_anew(**made_with_another_seed())
    for options in ([], ["--dry-run"]):
        code, said = say(*options)
        assert code == 2
        assert "zoo: made in another way than what 1 results of s.yaml were measured with (none)" in said
        assert "run them again with --rerun none, or put back what was there" in said
    assert Path("s.study.json").read_bytes() == before
    assert say("--table")[0] == 0
    assert say("--rerun", "none", "--dry-run")[0] == 0
    Path("zoo/zoo.json").write_bytes(header)
    assert say()[0] == 0


def test_results_that_are_not_recorded_yet_are_checked_too(say: Say) -> None:
    Path("s.study.json").unlink()
    make_anew(**made_with_another_seed())
    code, said = say()
    assert (code, "made in another way" in said) == (2, True)
    assert is_outdated(RUN), "so that a run which was cut begins again"


def test_tables_need_no_zoo(say: Say) -> None:
    shutil.rmtree("zoo")
    shutil.rmtree("runs")
    code, said = say("--table", "--out", "tables")
    assert (code, "another making" in said) == (0, False)


def test_a_record_of_an_earlier_version_is_read_and_completed(say: Say) -> None:
    recorded = json.loads(Path("s.study.json").read_text())
    found = recorded["runs"]["none/0"].pop("origins")["zoo"]
    Path("s.study.json").write_text(json.dumps(recorded))
    provenance = json.loads((RUN.path / "provenance.json").read_text())
    assert provenance["zoo"].pop("making") == found["making"]
    RUN.write_json("provenance.json", provenance)  # as an earlier version has written it
    assert Record(Path("s.study.json")).results["none/0"].origins == {}
    assert say("--table")[0] == 0
    assert say()[0] == 0
    completed = json.loads(Path("s.study.json").read_text())["runs"]["none/0"]
    assert completed == recorded["runs"]["none/0"] | {"origins": {"zoo": found}}
    make_anew(versions={"torch": "another"})
    assert origins_of(RUN)["zoo"].making == "", "the zoo that was read is no longer there to tell"


def test_zoos_are_found_in_the_home_folder(digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(digits_zoo.parent))
    path = f"~/{digits_zoo.name}"
    found = origin_there("zoo", path)
    assert found is not None
    assert digest_there(found, "zoo") == found.digest
    assert (is_there("zoo", path), is_there("zoo", "~/elsewhere")) == (True, False)
