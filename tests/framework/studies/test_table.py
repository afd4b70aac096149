"""The table of a study from results that are made by hand."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from weightspace.cli.study_tables import show_tables
from weightspace.cli.tables import FORMATS
from weightspace.errors import ConfigError
from weightspace.figures.study import differences_figure
from weightspace.studies.cells import Cell, cells_of
from weightspace.studies.interval import Difference, difference_by_object, difference_by_seed
from weightspace.studies.pairs import paired_difference
from weightspace.studies.record import Record, Result
from weightspace.studies.study import Study, read_study
from weightspace.studies.table import check_metrics, columns_of, difference_text, entries_of, tables_of

ACCURACY = "test/accuracy"


def result(right: np.ndarray, objects: str = "these", **metrics: float) -> Result:
    bits = base64.b64encode(np.packbits(right).tobytes()).decode()
    values = {ACCURACY: float(right.mean()), **metrics}
    return Result("d", "c", values, 60.0, objects=objects, count=len(right), correct=bits)


def number(value: float) -> Result:
    return Result("d", "c", {"test/r2": value}, 60.0)


@pytest.fixture
def answers() -> np.ndarray:
    """Right answers of two variants, three seeds and 50 objects."""
    return np.random.default_rng(0).random((2, 3, 50)) < [[[0.7]], [[0.5]]]


def by_seed(answers: np.ndarray, **options: str) -> dict[int, Result]:
    return {seed: result(right, **options) for seed, right in enumerate(answers)}


def test_seeds_and_objects_are_the_pairs_of_accuracies(answers: np.ndarray) -> None:
    found = paired_difference(by_seed(answers[0]), by_seed(answers[1]), ACCURACY)
    assert found == difference_by_object(answers[0].astype(float) - answers[1])


def test_seeds_that_one_of_both_lacks_are_left_out(answers: np.ndarray) -> None:
    variant = {seed + 1: found for seed, found in by_seed(answers[0]).items()}
    found = paired_difference(variant, by_seed(answers[1]), ACCURACY)
    assert found == difference_by_object(answers[0, :2].astype(float) - answers[1, 1:])
    assert paired_difference({7: result(answers[0, 0])}, by_seed(answers[1]), ACCURACY) is None


def test_other_objects_leave_seeds_as_pairs(answers: np.ndarray) -> None:
    expected = difference_by_seed(answers[0].mean(1) - answers[1].mean(1))
    assert paired_difference(by_seed(answers[0]), by_seed(answers[1], objects="others"), ACCURACY) == expected
    of_each_seed = [{s: result(right, objects=str(s)) for s, right in enumerate(half)} for half in answers]
    assert paired_difference(*of_each_seed, ACCURACY) == expected, "no object is the same for two seeds"


def test_zoos_whose_test_objects_differ_in_number_by_seed(answers: np.ndarray) -> None:
    variant, baseline = ({0: result(half[0, :20], "a"), 1: result(half[1], "b")} for half in answers)
    gains = [answers[0, 0, :20].mean() - answers[1, 0, :20].mean(), answers[0, 1].mean() - answers[1, 1].mean()]
    assert paired_difference(variant, baseline, ACCURACY) == difference_by_seed(np.array(gains))


def test_one_test_object_is_no_sample(answers: np.ndarray) -> None:
    single = [by_seed(half[:, :1]) for half in answers]
    found = paired_difference(*single, ACCURACY)
    assert found == difference_by_seed(answers[0, :, 0].astype(float) - answers[1, :, 0])


@pytest.mark.parametrize("known", ["2x50", ""])
def test_views_of_one_object_are_no_independent_networks(answers: np.ndarray, known: str) -> None:
    twice = [by_seed(np.repeat(half, 2, axis=-1)) for half in answers]
    for seed in range(3):
        twice[0][seed] = replace(twice[0][seed], views="2x50")
        twice[1][seed] = replace(twice[1][seed], views=known)  # the record of the other one is older
    assert paired_difference(*twice, ACCURACY) == paired_difference(*map(by_seed, answers), ACCURACY)


def test_the_views_of_a_single_object_are_no_sample(answers: np.ndarray) -> None:
    single = [{s: replace(found, views="50x1") for s, found in by_seed(half).items()} for half in answers]
    expected = difference_by_seed(answers[0].mean(1) - answers[1].mean(1))
    assert paired_difference(*single, ACCURACY) == expected


def test_other_metrics_have_seeds_as_pairs(answers: np.ndarray) -> None:
    variant, baseline = {0: number(0.5), 1: number(0.7)}, {0: number(0.4), 1: number(0.5)}
    found, expected = paired_difference(variant, baseline, "test/r2"), difference_by_seed(np.array([0.1, 0.2]))
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))
    assert paired_difference(variant, by_seed(answers[1]), "test/r2") is None


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "base.yaml").write_text("a: 1\n")
    text = "base: base.yaml\nseeds: [0, 1, 2]\nmetrics: [test/accuracy, val/loss]\n"
    (tmp_path / "s.yaml").write_text(f"{text}variants: {{none: {{}}, more: {{a: 2}}, never: {{a: 3}}}}\n")
    return read_study(tmp_path / "s.yaml")


def filled(study: Study, answers: np.ndarray) -> tuple[list[Cell], Record]:
    cells, record = cells_of(study), Record(study.record_file)
    for cell in cells:
        if cell.variant != "never":
            record.take(cell, result(answers[int(cell.variant == "none"), cell.seed], **{"val/loss": 2.0}))
    return cells, record


def test_the_table_has_means_deviations_seeds_and_differences(study: Study, answers: np.ndarray) -> None:
    cells, record = filled(study, answers)
    entries = entries_of(study, cells, record)
    columns = {column.title: column for column in columns_of(study, entries)}
    assert columns["variant"].texts == ["none (baseline)", "more", "never"]
    accuracies = answers[0].mean(1)
    assert columns["test accuracy"].values == [pytest.approx(answers[1].mean()), pytest.approx(accuracies.mean()), None]
    assert columns["test accuracy deviation"].values[1] == pytest.approx(accuracies.std(ddof=1))
    assert columns["seeds"].texts == ["3", "3", "0"]
    expected = difference_by_object(answers[0].astype(float) - answers[1])
    assert columns["difference"].texts == ["", difference_text(expected, ACCURACY), ""]
    assert columns["difference low"].values == [None, expected.low, None]
    assert columns["val/loss"].texts[:2] == ["2.00 +- 0.00"] * 2
    assert len(differences_figure(study, entries).axes) == 2


def test_shares_of_the_gap_are_of_the_means(study: Study, answers: np.ndarray) -> None:
    text = study.path.read_text().replace("more: {a: 2}", "more: {a: 2}, half: {a: 4}")
    study.path.write_text(f"{text}ceiling: more\n")
    study = read_study(study.path)
    cells, record = cells_of(study), Record(study.record_file)
    values = {"none": 0.5, "more": 0.9, "half": 0.6}
    for cell in cells:
        if cell.variant in values:
            record.take(
                cell, Result("d", "c", {ACCURACY: values[cell.variant] + 0.01 * cell.seed, "val/loss": 2.0}, 1.0)
            )
    columns = {column.title: column for column in columns_of(study, entries_of(study, cells, record))}
    assert columns["share of gap"].texts == ["0%", "100%", "25%", ""]
    assert columns["share of gap"].values[2] == pytest.approx(0.25)
    empty = entries_of(study, cells, Record(study.path.with_suffix(".none.json")))
    assert "share of gap" not in [column.title for column in columns_of(study, empty)]


def test_equal_answers_have_no_interval_in_any_format(study: Study, answers: np.ndarray) -> None:
    cells, record = filled(study, np.stack([answers[0], answers[0]]))
    columns = columns_of(study, entries_of(study, cells, record))
    assert {column.title: column.values[1] for column in columns if column.title.startswith("difference")} == {
        "difference": 0.0,
        "difference low": None,
        "difference high": None,
    }
    for suffix, line in (("md", "| 3 | equal |"), ("tex", "& 3 & equal &"), ("csv", ",3,0.0,,,")):
        assert FORMATS[suffix](columns).count(line) == 1
    assert json.loads(FORMATS["json"](columns))[1]["difference low"] is None


def test_a_table_that_is_too_wide_is_one_for_each_column(study: Study, tmp_path: Path) -> None:
    columns = "columns: {a: {}, b: {b: 1}, 'c+d': {b: 2}, e: {b: 3}}\n"
    study.path.write_text(study.path.read_text() + columns)
    wide = read_study(study.path)
    cells, record = cells_of(wide), Record(wide.record_file)
    for cell in cells:
        value = {"a": 0.1, "b": 0.2, "c+d": 0.3, "e": 0.4}[cell.column]
        record.take(cell, Result("d", "c", {ACCURACY: value, "val/loss": 2.0}, 1.0))
    entries = entries_of(wide, cells, record)
    tables = tables_of(wide, entries)
    assert list(tables) == ["a", "b", "c+d", "e"]
    for index, columns_there in enumerate(tables.values()):
        assert [column.title for column in columns_there if column.texts] == [
            "variant",
            "test accuracy",
            "seeds",
            "difference",
            "val/loss",
        ]
        assert columns_there[1].values[0] == pytest.approx(0.1 * (index + 1))
    show_tables(wide, cells, record, tmp_path / "out")
    assert (tmp_path / "out/s.md").read_text().startswith("**a**\n\n| variant |")
    assert "\n\n**c+d**\n\n" in (tmp_path / "out/s.md").read_text()
    assert (tmp_path / "out/s.tex").read_text().count("\\begin{tabular}") == 4
    assert (tmp_path / "out/s.csv").read_text().startswith("variant,a: test accuracy,")
    narrow = replace(wide, columns={"a": {}})
    assert list(tables_of(narrow, {place: e for place, e in entries.items() if place[1] == "a"})) == [""]


def test_results_of_another_configuration_are_not_shown(study: Study, answers: np.ndarray) -> None:
    _, record = filled(study, answers)
    study.path.write_text(study.path.read_text().replace("a: 2", "a: 4"))
    changed = read_study(study.path)
    entries = entries_of(changed, cells_of(changed), record)
    assert len(entries["none", ""].results) == 3
    assert not entries["more", ""].results
    assert entries["more", ""].difference is None


@pytest.mark.filterwarnings("error")
def test_what_is_no_number_has_a_table_and_a_figure(study: Study) -> None:
    study.path.write_text(study.path.read_text().replace("[test/accuracy, val/loss]", "[test/r2]"))
    study = read_study(study.path)
    cells, record = cells_of(study), Record(study.record_file)
    for cell in cells:
        record.take(cell, number(float("nan") if cell.variant == "more" and cell.seed else 0.1 * cell.seed))
    entries = entries_of(study, cells, record)
    columns = {column.title: column for column in columns_of(study, entries)}
    assert columns["test R2"].texts == ["0.100 +- 0.100", "nan", "0.100 +- 0.100"]
    assert np.isnan(columns["test R2 deviation"].values[1])
    for write in FORMATS.values():
        write(list(columns.values()))
    FigureCanvasAgg(differences_figure(study, entries)).draw()


def test_metrics_that_no_run_has_are_refused(study: Study, answers: np.ndarray) -> None:
    _, record = filled(study, answers)
    check_metrics(study, record)
    study.path.write_text(study.path.read_text().replace("val/loss", "val/lost"))
    with pytest.raises(ConfigError, match="no run has measured 'val/lost': did you mean 'val/loss'"):
        check_metrics(read_study(study.path), record)


@pytest.mark.parametrize(
    ("difference", "metric", "text"),
    [
        (None, ACCURACY, ""),
        (Difference(-0.034), ACCURACY, "-3.4"),
        (Difference(-0.034, -0.05, 0.001), ACCURACY, "-3.4 (-5.0 to +0.1)"),
        (Difference(0.5, 0.0, 1.0), "test/r2", "+0.500 (+0.000 to +1.000)"),
        (Difference(0.0, equal=True), ACCURACY, "equal"),
    ],
)
def test_differences_are_written_in_points_or_in_the_metric(
    difference: Difference | None, metric: str, text: str
) -> None:
    assert difference_text(difference, metric) == text
