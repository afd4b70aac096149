"""The runs of a study: their order, their digests, and the commands that make them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from weightspace.errors import ConfigError
from weightspace.studies.cells import Place, cells_of
from weightspace.studies.study import Study, read_study

FILE = """
base: base.yaml
seeds: [4, 2]
columns: {a: {trainer.max_epochs: 1}, b: {}}
variants: {none: {}, more: {data.batch_size: 16}}
"""


def make(folder: Path, text: str = FILE, base: str = "data: {batch_size: 8}\n") -> Study:
    (folder / "base.yaml").write_text(base)
    (folder / "s.yaml").write_text(text)
    return read_study(folder / "s.yaml")


def digests(study: Study) -> dict[str, str]:
    return {cell.key: cell.digest for cell in cells_of(study)}


def test_a_study_that_is_cut_has_compared_all_variants_with_the_first_seed(tmp_path: Path) -> None:
    keys = [cell.key for cell in cells_of(make(tmp_path))]
    first = ["none/a/4", "more/a/4", "none/b/4", "more/b/4"]
    assert keys == [*first, *(f"{key[:-1]}2" for key in first)]


def test_digests_follow_what_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    before = digests(make(tmp_path))
    assert len(set(before.values())) == len(before)
    reordered = FILE.replace("seeds: [4, 2]", "title: T\nmetrics: [test/loss]\nseeds: [2, 4, 7]")
    after = digests(make(tmp_path, reordered, base="# another comment\ndata:\n  batch_size: 8\n"))
    assert before.items() <= after.items()
    nested = digests(make(tmp_path, FILE.replace("{data.batch_size: 16}", "{data: {batch_size: 16}}")))
    assert nested == before
    changed = digests(make(tmp_path, FILE.replace("16", "17")))
    assert {key for key in before if changed[key] != before[key]} == {k for k in before if k.startswith("more")}
    assert not set(digests(make(tmp_path, base="data: {batch_size: 9}\n")).values()) & {
        digest for key, digest in before.items() if key.startswith("none")
    }


def test_variants_that_are_the_same_in_a_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the variants 'none' and 'more' are the same"):
        cells_of(make(tmp_path, FILE.replace("16", "8")))


def test_columns_that_are_the_same_for_a_variant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the columns 'a' and 'b' are the same for 'more'"):
        cells_of(make(tmp_path, FILE.replace("16}", "16, trainer.max_epochs: 1}")))


@pytest.mark.parametrize(
    ("base", "message"),
    [("a: [", "cannot be read"), ("- a\n", "should be an experiment, found list"), ("a: \x00", "cannot be read")],
)
def test_a_base_that_is_no_experiment_is_refused(tmp_path: Path, base: str, message: str) -> None:
    study = make(tmp_path, base=base)
    with pytest.raises(ConfigError, match=message):
        cells_of(study)


def test_a_run_goes_on_only_if_it_was_begun_as_it_is_asked_for(tmp_path: Path) -> None:
    study = make(tmp_path)
    place, (cell, *_) = Place(study, tmp_path / "runs"), cells_of(study)
    place.begin(cell)
    run = place.run(cell)
    assert run.path == tmp_path / "runs" / "studies" / "s" / "none" / "a" / "4"
    assert place.changes(cell).is_file()
    assert [command[0] for command in place.commands(cell)] == ["fit", "test", "predict"]
    run.step(3).touch()
    (run.path / "predictions.csv").touch()
    place.begin(cell)
    assert run.steps() == [run.step(3)]
    assert not (run.path / "predictions.csv").exists()
    other = replace(cell, digest="another")
    assert not place.began_as_asked(other)
    place.begin(other)
    assert place.began_as_asked(other)
    assert run.steps() == []


def test_a_run_that_still_trains_is_not_replaced(tmp_path: Path) -> None:
    study = make(tmp_path)
    place, (cell, *_) = Place(study, tmp_path / "runs"), cells_of(study)
    place.begin(cell)
    place.run(cell).step(3).touch()
    with place.run(cell).lock(), pytest.raises(ConfigError, match="another process is training"):
        place.begin(replace(cell, digest="another"))
    assert place.run(cell).steps() == [place.run(cell).step(3)]
    assert not place.began_as_asked(cell), "nobody goes on with it, either"
