"""Factors of data in tables of studies whose columns are amounts."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from weightspace.cli.study import study_cli
from weightspace.studies.amounts import amount
from weightspace.studies.cells import cells_of
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record, Result
from weightspace.studies.study import Study, read_study
from weightspace.studies.table import entries_of
from weightspace.studies.worth import Worth, worth, worth_text

ACCURACY = "test/accuracy"
FILE = """
base: base.yaml
seeds: [0, 1]
amounts: training objects
columns: {"2,000": {n: 2000}, 500: {n: 500}}
baseline_columns: {"20,000": {n: 20000}}
variants: {more: {a: 1}, none: {}, far: {a: 2}}
baseline: none
"""
#: How many times more data each variant is made to be worth.
FACTORS = {"none": 1, "more": 4, "far": 50}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "base.yaml").write_text("n: 1\n")
    (tmp_path / "s.yaml").write_text(FILE)
    return read_study(tmp_path / "s.yaml")


def right(factor: float, amount: float, seed: int, count: int = 2000) -> np.ndarray:
    """(N,) right answers, a share of which is linear in the logarithm of the data."""
    chances = 0.2 + 0.1 * np.log(factor * amount / 500)
    return np.random.default_rng((seed, int(factor), int(amount))).random(count) < chances


def recorded(study: Study, objects: str = "these") -> Record:
    record = Record(study.record_file)
    for cell in cells_of(study):
        answers = right(FACTORS[cell.variant], amount(cell.column), cell.seed)
        bits = base64.b64encode(np.packbits(answers).tobytes()).decode()
        metrics = {ACCURACY: float(answers.mean())}
        result = Result("", "c", metrics, 1.0, objects=objects, count=len(answers), correct=bits)
        record.take(cell, result)
    record.write()
    return record


def found(study: Study, record: Record) -> dict[tuple[str, str], Worth]:
    return worths_of(study, entries_of(study, cells_of(study), record))


def table(of: list[tuple[str, str]], seeds: list[int]) -> np.ndarray:
    return np.array([[right(FACTORS[v], amount(c), seed) for seed in seeds] for v, c in of], float)


CURVE = [("none", "500"), ("none", "2,000"), ("none", "20,000")]


def test_each_variant_is_compared_with_all_columns_of_the_baseline(study: Study) -> None:
    worths = found(study, recorded(study))
    assert set(worths) == {(name, column) for name in ("more", "far") for column in ("500", "2,000")}
    rows = table([*CURVE, ("more", "2,000")], [0, 1])
    assert worths["more", "2,000"] == worth([500, 2000, 20000], 2000, rows[:-1], rows[-1])
    assert worths["more", "2,000"].low < 4 < worths["more", "2,000"].high
    assert worths["far", "2,000"].factor == float("inf")


def test_a_column_that_is_still_being_run_is_no_part_of_the_curve(study: Study) -> None:
    record = recorded(study)
    del record.results["none/20,000/1"]
    rows = table([*CURVE[:2], ("more", "500")], [0, 1])
    assert found(study, record)["more", "500"] == worth([500, 2000], 500, rows[:-1], rows[-1])
    assert found(study, record)["more", "500"].most == 4
    for seed in "01":
        del record.results[f"none/2,000/{seed}"]
    assert found(study, record) == {}, "one column is no curve"


def test_a_metric_that_is_no_number_is_no_part_of_the_curve(study: Study) -> None:
    study.path.write_text(study.path.read_text() + "metrics: [test/kendall]\n")
    study, record = read_study(study.path), Record(study.record_file)
    values = {"none": {"500": 0.2, "2,000": 0.4, "20,000": 0.6}, "more": {"500": 0.3, "2,000": 0.5}}
    for cell in cells_of(study):
        if cell.variant in values:
            value = values[cell.variant][cell.column] + 0.01 * cell.seed
            record.take(cell, Result("", "c", {"test/kendall": value}, 1.0))
    whole = found(study, record)
    broken = Result("", "c", {"test/kendall": float("nan")}, 1.0)
    record.take(next(cell for cell in cells_of(study) if cell.key == "more/500/1"), broken)
    assert found(study, record)["more", "500"].factor < 4, "the seed that is left"
    assert found(study, record)["more", "2,000"] == whole["more", "2,000"]
    record.take(next(cell for cell in cells_of(study) if cell.key == "none/20,000/0"), broken)
    assert found(study, record)["more", "2,000"].most == 1, "a curve of two columns"


def test_a_variant_with_fewer_seeds_uses_those_alone(study: Study) -> None:
    record = recorded(study)
    del record.results["more/500/1"]
    rows = table([*CURVE, ("more", "500")], [0])
    assert found(study, record)["more", "500"] == worth([500, 2000, 20000], 500, rows[:-1], rows[-1])


def test_other_test_objects_leave_seeds_alone(study: Study) -> None:
    record = recorded(study)
    record.take(cells_of(study)[0], recorded(study, "others").results["more/2,000/0"])
    for cell in cells_of(study)[1:]:
        assert record.results[cell.key].objects != record.results["more/2,000/0"].objects
    rows = table([*CURVE, ("more", "2,000")], [0, 1]).mean(-1)
    assert found(study, record)["more", "2,000"] == worth([500, 2000, 20000], 2000, rows[:-1], rows[-1])


def test_tables_have_factors_with_their_ends_and_bounds(study: Study, tmp_path: Path) -> None:
    worths = found(study, recorded(study))
    for out in ("one", "two"):
        study_cli([str(study.path), "--table", "--out", str(tmp_path / out)])
    files = [sorted((tmp_path / out).iterdir()) for out in ("one", "two")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    more, none, far = json.loads((tmp_path / "one" / "s.json").read_text())
    known = worths["more", "500"]
    assert [more[f"500: worth{end}"] for end in ("", " low", " high")] == [known.factor, known.low, known.high]
    assert [far[f"2,000: worth{end}"] for end in ("", " low", " high")] == ["> 10"] * 3
    assert none["500: worth"] is None
    assert (more["20,000: test accuracy"], more["20,000: seeds"], none["20,000: seeds"]) == (None, None, 2)
    assert not {"20,000: worth", "20,000: difference"} & set(more)
    rows = list(csv.DictReader((tmp_path / "one" / "s.csv").read_text(encoding="utf-8").splitlines()))
    assert (rows[2]["2,000: worth"], rows[0]["20,000: seeds"]) == ("> 10", "")
    text = (tmp_path / "one" / "s.md").read_text()
    assert "| > 10x |" in text
    assert f"| {worth_text(known)} |" in text


def test_without_amounts_a_study_has_no_factors(study: Study, tmp_path: Path) -> None:
    record = recorded(study)
    study.path.write_text(FILE.replace("amounts: ", "title: "))
    assert found(read_study(study.path), record) == {}
    study_cli([str(study.path), "--table", "--out", str(tmp_path / "out")])
    assert "worth" not in (tmp_path / "out" / "s.csv").read_text()
