"""Folds: each object is tested once, classes are spread evenly, and what belongs together stays together."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import weightspace as ws
from weightspace.data.folds import folded
from weightspace.errors import ConfigError
from weightspace.zoo.strata import dealt
from weightspace.zoo.write import write_zoo

SPEC = ws.NetworkSpec((2, 3, 1), "sine", 30.0)
FOLDS = 5


def zoo_of(path: Path, objects: list[int], targets: list, views: list[int] | None = None, **options: object) -> ws.Zoo:
    params = torch.randn(len(objects), SPEC.num_params, generator=torch.Generator().manual_seed(0))
    write_zoo(path, params, SPEC, targets=targets, objects=objects, views=views or [0] * len(objects), **options)
    return ws.Zoo(path)


@pytest.fixture
def zoo(tmp_path: Path) -> ws.Zoo:
    """43 objects of three unequal classes with three views each."""
    objects = np.repeat(np.arange(100, 143), 3)
    classes = np.array([0] * 22 + [1] * 14 + [2] * 7)[objects - 100]
    return zoo_of(tmp_path / "zoo", objects.tolist(), classes.tolist(), np.tile([0, 1, 2], 43).tolist())


def objects_in(zoo: ws.Zoo, split: str) -> set[int]:
    return set(zoo.objects[zoo.rows(split)].tolist())


def test_every_object_is_tested_once_and_in_no_other_split_then(zoo: ws.Zoo) -> None:
    tested: list[int] = []
    for fold in range(FOLDS):
        other = folded(zoo, FOLDS, fold)
        train, val, test = (objects_in(other, split) for split in ("train", "val", "test"))
        assert train | val | test == set(range(100, 143))
        assert len(train) + len(val) + len(test) == 43
        assert len(other.rows("test")) == 3 * len(test)  # all views of an object are in one split
        tested += test
    assert sorted(tested) == list(range(100, 143))


def test_classes_are_spread_evenly(zoo: ws.Zoo) -> None:
    counts = []
    for fold in range(FOLDS):
        other = folded(zoo, FOLDS, fold)
        counts.append(torch.bincount(other.targets[other.rows("test")], minlength=3) // 3)
        held = torch.bincount(other.targets[other.rows("val")], minlength=3) // 3
        rest = torch.bincount(zoo.targets, minlength=3) // 3 - counts[-1]
        assert (held - rest / 8).abs().max() <= 1
    spread = torch.stack(counts)
    assert (spread.amax(0) - spread.amin(0)).max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_dealt_as_wholes_and_strata_evenly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, strata = rng.integers(0, 60, 200), rng.integers(0, 4, 200)
    strata = strata[groups]  # near-copies are of one class
    parts = dealt(groups, strata, 4, rng)
    assert all(len(set(parts[groups == group])) == 1 for group in set(groups))
    sizes = np.array([[(strata[parts == part] == stratum).sum() for part in range(4)] for stratum in range(4)])
    largest = max(np.bincount(groups))
    assert (sizes.max(1) - sizes.min(1)).max() <= largest


def test_near_copies_stay_together(zoo: ws.Zoo) -> None:
    copies = [[100, 101, 105], [122, 125]]
    zoo.header.provenance["near_copies"] = copies
    for fold in range(FOLDS):
        other = folded(zoo, FOLDS, fold)
        for split in ("train", "val", "test"):
            for group in copies:
                assert len(set(group) & objects_in(other, split)) in (0, len(group))


def test_folds_are_those_of_the_zoo_whatever_the_seed(zoo: ws.Zoo) -> None:
    first, second = (ws.ZooDataModule(zoo, folds=FOLDS, fold=2, seed=seed) for seed in (0, 7))
    assert objects_in(first.zoo, "test") == objects_in(second.zoo, "test")
    assert zoo.splits.unique().tolist() != first.zoo.splits.unique().tolist()  # the zoo itself is as it was


def test_another_process_has_the_same_splits(zoo: ws.Zoo) -> None:
    other = folded(zoo, FOLDS, 1)
    sent = pickle.loads(pickle.dumps(other))
    assert torch.equal(sent.splits, other.splits)
    assert sent.fold == other.fold == (1, FOLDS)
    assert torch.equal(pickle.loads(pickle.dumps(zoo)).splits, zoo.splits)


def test_a_fold_gives_the_zoo_with_its_own_splits_again(zoo: ws.Zoo) -> None:
    own = folded(zoo, FOLDS, 1).divided_into(None)
    assert torch.equal(own.splits, zoo.splits)
    assert own.fold is zoo.fold is None


def test_views_and_labels_are_limited_in_the_training_part_alone(zoo: ws.Zoo) -> None:
    whole = ws.ZooDataModule(zoo, folds=FOLDS, fold=0)
    few = ws.ZooDataModule(zoo, folds=FOLDS, fold=0, n_views=2, label_fraction=0.5, internal_test=True)
    assert objects_in(whole.zoo, "test") == objects_in(few.zoo, "test")
    assert few.count_objects("train") == pytest.approx(whole.count_objects("train") / 2, abs=1.5)
    (test, internal), (other,) = few.test_dataloader(), whole.test_dataloader()
    tested, all_tested = (torch.cat([batch.objects for batch in loader]) for loader in (test, other))
    assert torch.equal(tested, all_tested)
    assert len(tested.unique()) == len(tested)  # the first view of each
    seen = {int(item) for batch in few.train_dataloader() for item in batch.objects}
    assert {int(item) for batch in internal for item in batch.objects} == seen


def test_a_checkpoint_is_tested_in_its_own_fold_alone(zoo: ws.Zoo, tmp_path: Path) -> None:
    state = ws.ZooDataModule(zoo, folds=FOLDS, fold=1).state_dict()
    ws.ZooDataModule(zoo, folds=FOLDS, fold=1, batch_size=7).load_state_dict(state)
    for others in ({"folds": FOLDS, "fold": 2}, {"folds": 4, "fold": 1}, {}):
        with pytest.raises(ConfigError, match="is of a run with other splits of"):
            ws.ZooDataModule(zoo, **others).load_state_dict(state)
    unlike = zoo_of(tmp_path / "unlike", list(range(30)), [0, 1] * 15)
    ws.ZooDataModule(unlike, folds=3, fold=0).load_state_dict(state)  # none of its networks was trained on
    ws.ZooDataModule(zoo, folds=FOLDS, fold=2).load_state_dict({"length": 3})  # of an earlier version


def test_a_checkpoint_of_another_fold_is_known_in_a_zoo_that_was_made_again(zoo: ws.Zoo) -> None:
    state = ws.ZooDataModule(zoo, folds=FOLDS, fold=1).state_dict() | {"zoo": "0" * 64}  # other last bits
    ws.ZooDataModule(zoo, folds=FOLDS, fold=1).load_state_dict(state)
    for others in ({"folds": FOLDS, "fold": 2}, {}):
        with pytest.raises(ConfigError, match="is of a run with other splits of"):
            ws.ZooDataModule(zoo, **others).load_state_dict(state)
    ws.ZooDataModule(zoo, folds=FOLDS, fold=2).load_state_dict(state | {"making": "of another zoo"})


def test_splits_with_other_numbers_of_views_are_not_mixed(tmp_path: Path) -> None:
    objects = [*np.repeat(np.arange(20), 3).tolist(), *range(20, 30)]
    views = [*np.tile([0, 1, 2], 20).tolist(), *[0] * 10]
    splits = ["train"] * 60 + ["test"] * 10
    zoo = zoo_of(tmp_path / "zoo", objects, [item % 2 for item in objects], views, splits=splits)
    message = r"have other numbers of views \(train 3, test 1\).*take data.n_views: 1, or fit"
    for n_views in (None, 2):
        with pytest.raises(ConfigError, match=message):
            ws.ZooDataModule(zoo, folds=3, fold=0, n_views=n_views)
    ws.ZooDataModule(zoo, folds=3, fold=0, n_views=1)
    ws.ZooDataModule(zoo)


def test_near_copies_that_a_zoo_does_not_name_are_not_overlooked(zoo: ws.Zoo) -> None:
    zoo.header.provenance["source"] = {"name": "furniture"}
    with pytest.raises(ConfigError, match="objects of furniture have near-copies.* does not name them.*make it again"):
        ws.ZooDataModule(zoo, folds=FOLDS, fold=0)
    ws.ZooDataModule(zoo)  # its own splits keep them together
    zoo.header.provenance["near_copies"] = []
    ws.ZooDataModule(zoo, folds=FOLDS, fold=0)


def test_numbers_are_dealt_without_classes(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path / "zoo", list(range(23)), [0.5 * item for item in range(23)])
    sizes = [len(folded(zoo, 4, fold).rows("test")) for fold in range(4)]
    assert sorted(sizes) == [5, 6, 6, 6]


@pytest.mark.parametrize(
    ("folds", "fold", "message"),
    [
        (5, None, "data.folds is given without data.fold: give both"),
        (None, 1, "data.fold is given without data.folds: give both"),
        (1, 0, "data.folds must be"),
        (5, 5, "data.fold must be"),
        (5, -1, "data.fold must be"),
        (8, 0, "has 7 objects of class '2', fewer than folds"),
    ],
)
def test_what_cannot_be_folded(zoo: ws.Zoo, folds: int | None, fold: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ws.ZooDataModule(zoo, folds=folds, fold=fold)
