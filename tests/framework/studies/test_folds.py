"""Folds of a study: the runs, and one result of all folds of a seed."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import yaml
from weightspace.errors import ConfigError
from weightspace.studies.cells import Place, cells_of, changes_of
from weightspace.studies.estimate import plan_text
from weightspace.studies.folds import over_folds
from weightspace.studies.interval import difference_by_object
from weightspace.studies.record import Record, Result
from weightspace.studies.study import Study, read_study
from weightspace.studies.table import entries_of

ACCURACY = "test/accuracy"
FLIP = {"data.augmentations": ["sign_flip"]}


def study_of(folder: Path, **keys: object) -> Study:
    (folder / "base.yaml").write_text("data: {zoo: zoos/none}\n")
    content = {"base": "base.yaml", "seeds": [0, 1], "folds": 3, "variants": {"none": {}, "flip": FLIP}, **keys}
    (folder / "s.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return read_study(folder / "s.yaml")


def result(right: np.ndarray, objects: str, views: str = "", **metrics: float) -> Result:
    bits = base64.b64encode(np.packbits(right).tobytes()).decode()
    values = {ACCURACY: float(right.mean()), **metrics}
    return Result("d", "c", values, 60.0, 70.0, objects=objects, count=len(right), correct=bits, views=views)


def test_each_seed_has_a_run_of_each_fold_in_a_folder_of_its_own(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    cells = cells_of(study)
    assert [cell.key for cell in cells[:4]] == ["none/fold 0/0", "none/fold 1/0", "none/fold 2/0", "flip/fold 0/0"]
    assert len({cell.digest for cell in cells}) == len({cell.key for cell in cells}) == 12
    assert changes_of(study, cells[4]) == {"data": {"augmentations": ["sign_flip"], "folds": 3, "fold": 1}}
    place = Place(study, tmp_path)
    assert len({place.changes(cell) for cell in cells}) == 6  # shared by seeds
    command = place.commands(cells[1])[0]
    assert command[command.index("--experiment") + 1] == "studies/s/none/fold 1"


def test_what_a_run_reads_can_be_of_its_fold(tmp_path: Path) -> None:
    encoder = "runs/studies/pre/{variant}/fold {fold}/0/encoder.safetensors"
    study = study_of(tmp_path, overrides={"model.init_args.encoder": encoder})
    for cell in cells_of(study):
        given = changes_of(study, cell)["model"]["init_args"]["encoder"]
        assert given == f"runs/studies/pre/{cell.variant}/fold {cell.fold}/0/encoder.safetensors"
    assert study.names_folds
    assert not study_of(tmp_path).names_folds
    with pytest.raises(ConfigError, match=r"\{flod\} in 'runs/\{flod\}' stands for nothing"):
        cells_of(study_of(tmp_path, overrides={"model.init_args.encoder": "runs/{flod}"}))


def test_without_folds_the_digests_are_those_of_records(tmp_path: Path) -> None:
    cells = cells_of(study_of(tmp_path, folds=None))
    assert [cell.key for cell in cells] == ["none/0", "flip/0", "none/1", "flip/1"]
    assert cells[0].digest == "6dd04b66e973aa84"


def test_folds_of_a_seed_are_as_if_their_networks_had_been_tested_at_once() -> None:
    rng = np.random.default_rng(0)
    right = [rng.random(count) < 0.5 for count in (11, 8, 9)]
    folds = [result(r, str(i), **{"val/accuracy": 0.1 * i}) for i, r in enumerate(right)]
    found = over_folds(folds)
    assert found.right().tolist() == np.concatenate(right).tolist()
    assert found.metrics[ACCURACY] == pytest.approx(np.concatenate(right).mean())
    assert found.metrics["val/accuracy"] == pytest.approx((0 * 11 + 0.1 * 8 + 0.2 * 9) / 28)
    assert (found.count, found.seconds, found.whole) == (28, 180.0, 210.0)
    assert found.views_of_objects().tolist() == [1] * 28
    other = [result(r, str(i)) for i, r in enumerate(reversed(right))]
    assert over_folds(other).objects == found.objects  # of the same folds
    assert over_folds(folds[::-1]).objects != found.objects
    with_views = over_folds([folds[0], result(right[1], "1", "2x4"), folds[2]])
    assert with_views.views_of_objects().tolist() == [1] * 11 + [2] * 4 + [1] * 9


def test_differences_are_of_all_objects_and_of_the_seeds_of_which_all_folds_have_ended(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    cells, record, rng = cells_of(study), Record(tmp_path / "none.json"), np.random.default_rng(1)
    answers = {cell.key: rng.random(10) < (0.8 if cell.variant == "flip" else 0.4) for cell in cells}
    for cell in cells:
        record.take(cell, result(answers[cell.key], f"fold {cell.fold}"))

    def joined(variant: str, seed: int) -> np.ndarray:
        return np.concatenate([answers[f"{variant}/fold {fold}/{seed}"] for fold in range(3)]).astype(float)

    entry = entries_of(study, cells, record)["flip", ""]
    assert entry.difference == difference_by_object(np.array([joined("flip", s) - joined("none", s) for s in (0, 1)]))
    del record.results["flip/fold 2/1"]
    entry = entries_of(study, cells, record)["flip", ""]
    assert entry.values(ACCURACY) == [pytest.approx(joined("flip", 0).mean())]
    assert entry.difference == difference_by_object((joined("flip", 0) - joined("none", 0))[None])
    assert "flip: seed 1: folds 2 to do" in plan_text(study, cells, cells[-1:], record, 1)
    assert "2 variants x 2 seeds x 3 folds" in plan_text(study, cells, [], record, 1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"folds": 1}, "folds should be a whole number of at least 2, found 1"),
        ({"folds": True}, "folds should be a whole number of at least 2, found True"),
        ({"overrides": {"data.folds": 5}}, "data.folds is given by the study, since it has folds: leave it out"),
        ({"variants": {"a": {}, "b": {"data": {"fold": 1}}}}, "data.fold is given by the study"),
    ],
)
def test_folds_that_cannot_be(tmp_path: Path, keys: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study_of(tmp_path, **keys)
