"""The plan of a study, and the time that is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.studies.cells import Cell, cells_of
from weightspace.studies.estimate import ended_runs, plan_text, seconds_of, time_left
from weightspace.studies.record import Record, Result
from weightspace.studies.study import read_study


def cell(variant: str, column: str = "", seed: int = 0) -> Cell:
    return Cell(variant, column, seed, "d")


def test_the_runs_that_are_most_alike_say_how_long_one_takes() -> None:
    ended = [(cell("a", "x"), 10.0), (cell("a", "x", 1), 20.0), (cell("b", "x"), 60.0), (cell("b", "y"), 200.0)]
    assert seconds_of(cell("a", "x", 2), ended) == 15, "other seeds"
    assert seconds_of(cell("c", "x"), ended) == 30, "other variants in the same column"
    assert seconds_of(cell("c", "z"), ended) == 72.5, "all"
    assert seconds_of(cell("c", "z"), []) is None


@pytest.mark.parametrize(("workers", "text"), [(1, "about 1:00:00"), (2, "about 0:30:00"), (100, "about 0:20:00")])
def test_time_is_shared_by_workers_and_never_below_the_longest_run(workers: int, text: str) -> None:
    ended = [(cell("a"), 1200.0)]
    assert time_left([cell("a", seed=seed) for seed in (1, 2, 3)], ended, workers) == text


def test_nothing_is_said_of_times_that_nobody_has_seen() -> None:
    assert time_left([cell("a")], [], 1) == "unknown until a run has ended"
    assert time_left([], [], 1) == "about 0:00:00"


def test_a_run_that_went_on_took_the_seconds_of_its_training_or_more() -> None:
    record = Record(Path("none.json"))
    record.take(cell("a"), Result("", "", {}, seconds=90.0, whole=7.0))
    record.take(cell("b"), Result("", "", {}, seconds=90.0, whole=97.0))
    assert [seconds for _, seconds in ended_runs([cell("a"), cell("b"), cell("c")], record)] == [90, 97]


def test_the_plan_lists_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: 1\n")
    (tmp_path / "s.yaml").write_text("base: base.yaml\nseeds: [0, 1]\nvariants: {none: {}, more: {a: 2}}\n")
    study = read_study(tmp_path / "s.yaml")
    cells, record = cells_of(study), Record(study.record_file)
    record.take(cells[0], Result("", "", {}, seconds=60.0, whole=60.0))
    record.take(cells[2], Result("", "", {}, seconds=60.0, whole=60.0))
    text = plan_text(study, cells, [cells[1], cells[3]], record, 2)
    assert text.splitlines() == [
        "s: 2 variants x 2 seeds",
        "  none: done",
        "  more: seeds 0, 1 to do",
        "2 of 4 runs to do, 2 at a time; time: about 0:01:00",
    ]
