"""What a study does when its base is edited while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.errors import ConfigError
from weightspace.studies.cells import Place, cells_of
from weightspace.studies.record import Record
from weightspace.studies.runner import Runner
from weightspace.studies.study import read_study
from weightspace.studies.workers import LocalWorkers


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "base.yaml").write_text("data: {batch_size: 8}\n")
    (tmp_path / "s.yaml").write_text("base: base.yaml\nseeds: [0]\nvariants: {none: {}}\n")
    return Place(read_study(tmp_path / "s.yaml"), tmp_path / "runs")


def test_a_base_that_says_the_same_is_no_other_one(place: Place) -> None:
    (cell,) = cells_of(place.study)
    place.study.base.write_text("# a comment\ndata:\n  batch_size: 8\n")
    place.check_base(cell)


def test_a_run_that_may_have_read_another_base_is_not_gone_on_with(place: Place) -> None:
    (cell,) = cells_of(place.study)
    place.begin(cell)
    place.study.base.write_text("data: {batch_size: 9}\n")
    with pytest.raises(ConfigError, match="was changed while the study ran: start the study again"):
        place.check_base(cell)
    place.study.base.write_text("data: {batch_size: 8}\n")
    assert not place.began_as_asked(cell)


def test_runs_after_the_change_fail_and_record_nothing(place: Place) -> None:
    cells, record = cells_of(place.study), Record(place.study.record_file)
    place.study.base.write_text("data: {batch_size: 9}\n")
    failures = Runner(place, cells, record, LocalWorkers(1), lambda _: None).run(cells)
    assert [failure.cell for failure in failures] == cells
    assert not record.results
    assert not place.folder.exists()


def test_keys_of_one_mapping_may_be_numbers_and_text(place: Place) -> None:
    place.study.base.write_text("data: {names: {1: a, b: c}}\n")
    assert len(cells_of(place.study)) == 1
