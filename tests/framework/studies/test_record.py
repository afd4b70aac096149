"""The record of a study: what is kept of a run, and what is not read."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from weightspace.errors import ConfigError
from weightspace.runs.folder import RunFolder
from weightspace.studies.cells import Cell
from weightspace.studies.collecting import collect
from weightspace.studies.record import Record, Result

CELL = Cell("none", "", 0, "asked")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """What a run leaves that has been trained, tested, and has written its predictions of eleven networks."""
    folder = RunFolder(tmp_path / "run")
    fitted = {"seconds": 12.5, "best val/accuracy": 0.75, "best epoch": "3", "val/accuracy": 0.5}
    folder.write_json("metrics.json", {"fit": fitted, "test": {"test/accuracy": 7 / 11}})
    (folder.path / "config.yaml").write_text("seed_everything: 0\n")
    rows = [f"{n},0,{'cat' if n % 2 else 'dog'},{'dog' if n < 8 else 'cat'}" for n in range(11)]
    (folder.path / "predictions.csv").write_text("\n".join(["object,view,true,class", *rows]) + "\n")
    return folder


def test_a_run_is_kept_with_the_correctness_of_each_test_network(run: RunFolder, tmp_path: Path) -> None:
    found = collect(run)
    assert found is not None
    assert found.metrics == {"seconds": 12.5, "best val/accuracy": 0.75, "val/accuracy": 0.5, "test/accuracy": 7 / 11}
    expected = [(n % 2 == 1) == (n >= 8) for n in range(11)]
    assert found.right().tolist() == expected
    assert found.seconds == 12.5
    assert set(found.versions) == {"weightspace", "torch"}
    record = Record(tmp_path / "s.study.json")
    record.take(CELL, found)
    record.write()
    again = Record(tmp_path / "s.study.json")
    assert again.results == record.results
    assert again.results["none/0"].right().tolist() == expected
    assert again.holds(CELL)
    assert not again.differs(CELL)


def test_results_of_another_configuration_are_not_those_asked_for(run: RunFolder, tmp_path: Path) -> None:
    record = Record(tmp_path / "none.json")
    record.take(CELL, collect(run))
    other = Cell("none", "", 0, "other")
    assert (record.holds(other), record.differs(other)) == (False, True)
    missing = Cell("none", "", 1, "asked")
    assert (record.holds(missing), record.differs(missing)) == (False, False)


def test_other_objects_have_another_digest(run: RunFolder) -> None:
    before = collect(run).objects
    path = run.path / "predictions.csv"
    path.write_text(path.read_text().replace("10,0,", "10,1,"))
    assert collect(run).objects != before


def test_networks_of_one_object_are_known(run: RunFolder) -> None:
    assert (collect(run).views, collect(run).views_of_objects().tolist()) == ("", [1] * 11)
    path = run.path / "predictions.csv"
    path.write_text(path.read_text().replace("\n1,0,", "\n0,1,").replace("\n9,0,", "\n8,1,"))
    found = collect(run)
    assert (found.views, found.views_of_objects().tolist()) == ("2x1 1x6 2x1 1x1", [2, 1, 1, 1, 1, 1, 1, 2, 1])


def test_predictions_of_numbers_have_no_correctness(run: RunFolder) -> None:
    (run.path / "predictions.csv").write_text("object,view,true,predicted\n0,0,0.5,0.4\n")
    assert collect(run).right() is None


@pytest.mark.parametrize("missing", ["fit", "test", "predictions.csv"])
def test_a_run_without_all_of_its_results_is_not_finished(run: RunFolder, missing: str) -> None:
    if missing == "predictions.csv":
        (run.path / missing).unlink()
    else:
        run.write_json("metrics.json", {k: v for k, v in run.read_metrics().items() if k != missing})
    assert collect(run) is None


def test_a_run_that_is_not_tested_is_finished_with_its_training(run: RunFolder) -> None:
    (run.path / "predictions.csv").unlink()
    run.write_json("metrics.json", {"fit": {"seconds": 12.5, "val/loss": 0.75}})
    assert collect(run) is None
    found = collect(run, tested=False)
    assert (found.metrics, found.seconds) == ({"seconds": 12.5, "val/loss": 0.75}, 12.5)
    assert (found.correct, found.right()) == ("", None)
    run.write_json("metrics.json", {})
    assert collect(run, tested=False) is None


GOOD = {"digest": "d", "config": "c", "metrics": {"test/accuracy": 0.5}, "seconds": 1.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged|cannot be read|JSON"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"format": 2, "runs": {}}', "has format 2, this version reads 1: update it"),
        ('{"format": 1, "runs": []}', "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "more": 1}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "metrics": [1]}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "metrics": {"x": "high"}}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "seconds": "long"}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "count": 9, "correct": "!"}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "origins": {"zoo": {"path": 1, "size": 2}}}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "origins": ["zoo"]}}}), "damaged"),
        (
            json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "count": 3, "correct": "AA==", "views": "2x2"}}}),
            "damaged",
        ),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "count": 3, "correct": "AA==", "views": "3"}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "count": 0, "views": "0x99999999999"}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "count": 90, "correct": "AA=="}}}), "damaged"),
        (json.dumps({"format": 1, "runs": {"a/0": {**GOOD, "count": -1, "correct": "AA=="}}}), "damaged"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "s.study.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as found:
        Record(path)
    assert "s.study.json" in str(found.value)


def test_bits_are_those_that_were_given() -> None:
    bits = np.random.default_rng(0).random(1003) < 0.5
    packed = base64.b64encode(np.packbits(bits).tobytes()).decode()
    found = Result("d", "c", {}, 0.0, count=1003, correct=packed).right()
    assert (found == bits).all()


def test_a_record_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the results .*gone/s\.study\.json cannot be written: No such file"):
        Record(tmp_path / "gone" / "s.study.json").write()
