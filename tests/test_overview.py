"""The table of all data sets shows what studies have recorded, in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from weightspace.studies.record import Record
from weightspace.studies.study import read_study
from weightspace.studies.table import Entry

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("overview")


def test_each_study_has_the_rows_that_are_asked_of_it(script: ModuleType) -> None:
    for names in script.DATA.values():
        studies = [yaml.safe_load((ROOT / f"experiments/studies/{name}.yaml").read_text()) for name in names]
        columns = [column for study in studies for column in study.get("columns", [script.WITHOUT_COLUMNS])]
        assert sorted(columns) == sorted(script.BACKBONES)
        assert all(set(script.VARIANTS) <= set(study["variants"]) for study in studies)
        assert all(script.METRIC in study["metrics"] for study in studies)


def test_numbers_stand_in_their_places(script: ModuleType) -> None:
    record = Record(read_study(ROOT / "experiments/studies/augmentations.yaml").record_file)
    results = {seed: found for seed, found in enumerate(list(record.results.values())[:2])}
    mean = sum(found.metrics["test/accuracy"] for found in results.values()) / 2
    entries = {
        "mnist_5k": {("none", "GNN"): Entry(results, None)},
        "augmentations": {("none", ""): Entry(results, None)},
    }
    lines = script.overview(lambda name: entries.get(name, {})).splitlines()
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]): line.split("|")[3:-1] for line in lines[2:]}
    assert len(rows) == len(script.BACKBONES) * len(script.VARIANTS)
    assert f"{100 * mean:.1f}" in rows["GNN", "none"][1]
    assert f"{100 * mean:.1f}" in rows["DWS", "none"][0]
    assert "(2)" in rows["DWS", "none"][0]
    assert sum("not run yet" in cell for cells in rows.values() for cell in cells) == 5 * len(rows) - 2
