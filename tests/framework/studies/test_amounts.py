"""Columns that are amounts: which names are, and what else a curve needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.errors import ConfigError
from weightspace.studies.amounts import amount
from weightspace.studies.cells import cells_of
from weightspace.studies.estimate import plan_text
from weightspace.studies.record import Record
from weightspace.studies.study import Study, read_study

GOOD = """
base: base.yaml
seeds: [0, 1]
amounts: training objects
columns: {500: {n: 500}, "2,000": {n: 2000}}
baseline_columns: {"10,000": {n: 10000}}
variants: {none: {}, more: {a: 1}}
"""


def written(folder: Path, text: str = GOOD) -> Study:
    (folder / "base.yaml").write_text("n: 1\n")
    (folder / "s.yaml").write_text(text)
    return read_study(folder / "s.yaml")


@pytest.mark.parametrize(
    ("name", "number"), [("500", 500), ("2,000", 2000), ("1,234,567.5", 1234567.5), ("0.25", 0.25), ("12000", 12000)]
)
def test_names_with_and_without_separators_are_amounts(name: str, number: float) -> None:
    assert amount(name) == number


@pytest.mark.parametrize("name", ["", "many", "20,00", "1,0000", ",500", "0", "0.0", "1e3", "-5", "5%", "500 objects"])
def test_other_names_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a number above 0"):
        amount(name)


def test_columns_of_the_baseline_have_no_other_runs(tmp_path: Path) -> None:
    study = written(tmp_path)
    cells = cells_of(study)
    assert [cell.key for cell in cells if cell.seed == 1] == [
        "none/500/1", "more/500/1", "none/2,000/1", "more/2,000/1", "none/10,000/1"
    ]  # fmt: skip
    assert study.changes("none", "10,000") == {"n": 10000}
    assert study.amounts == "training objects"
    plan = plan_text(study, cells, cells, Record(study.record_file), 1)
    assert plan.splitlines()[0] == "s: 2 variants x 2 columns, and 1 of none alone, x 2 seeds"
    assert "  none/10,000: seeds 0, 1 to do" in plan


def test_a_column_can_become_one_of_the_baseline_alone(tmp_path: Path) -> None:
    before = {cell.key: cell.digest for cell in cells_of(written(tmp_path))}
    moved = GOOD.replace(', "2,000": {n: 2000}}', "}").replace('{"10,000"', '{"2,000": {n: 2000}, "10,000"')
    after = {cell.key: cell.digest for cell in cells_of(written(tmp_path, moved.replace("amounts", "title")))}
    assert after.items() < before.items()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("500: {n", "few: {n", "the names of columns are the amounts: expected a number above 0, .*, found 'few'"),
        ('"10,000"', "all", "the names of columns are the amounts: .* found 'all'"),
        ('"10,000"', "2000", "the columns '2,000' and '2000' are the same amount"),
        ("amounts: training objects", "amounts: [500]", "amounts should be a text"),
        (
            "amounts: training objects",
            "amounts: networks\nmetrics: [test/loss]",
            "of test/loss, less is better: name a metric first of which more is",
        ),
        ('"10,000"', '"2,000"', "'2,000' is in columns and in baseline_columns"),
        ('{"10,000": {n: 10000}}', '{"10,000": {seed_everything: 3}}', "10,000: seeds are a list of their own"),
        ('{"10,000": {n: 10000}}', "[10000]", "baseline_columns should be a mapping"),
        ('columns: {500: {n: 500}, "2,000": {n: 2000}}\n', "", "baseline_columns are further columns: give columns"),
        (
            'columns: {500: {n: 500}, "2,000": {n: 2000}}\nbaseline_columns: {"10,000": {n: 10000}}',
            "columns: {500: {n: 500}}",
            "a curve needs two columns or more, found 1",
        ),
    ],
)
def test_what_is_no_curve_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message):
        written(tmp_path, GOOD.replace(old, new))


def test_a_curve_of_the_baseline_may_be_longer_than_the_table(tmp_path: Path) -> None:
    assert list(written(tmp_path, GOOD.replace(', "2,000": {n: 2000}}', "}")).every_column) == ["500", "10,000"]
