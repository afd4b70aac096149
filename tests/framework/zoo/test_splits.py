from __future__ import annotations

import pytest
import torch
from weightspace.errors import ConfigError
from weightspace.zoo.splits import hold_out_view, label_subset, limit_views, view_places


def test_objects_of_two_zoos_with_equal_numbers_and_other_classes_are_drawn_apart() -> None:
    objects = torch.arange(200).repeat(2)
    classes = torch.cat([torch.arange(200) % 10, torch.arange(200) // 20])
    kept = label_subset(objects, classes, 0.1, seed=0)
    pairs = torch.stack([classes, objects], dim=1)[kept].unique(dim=0)
    members = torch.stack([classes, objects], dim=1).unique(dim=0)
    assert torch.equal(pairs[:, 0].bincount(), (0.1 * members[:, 0].bincount()).round().long())


def test_label_subsets_are_stratified_by_object_and_seeded() -> None:
    objects = torch.arange(100).repeat_interleave(3)
    classes = (objects % 5 == 0).long()  # 20 objects of class 1, 80 of class 0
    kept = label_subset(objects, classes, 0.25, seed=1)
    chosen = objects[kept].unique()
    assert len(chosen) == 25
    assert int((chosen % 5 == 0).sum()) == 5
    assert int(kept.sum()) == 75  # all views of each
    assert torch.equal(kept, label_subset(objects, classes, 0.25, seed=1))
    assert not torch.equal(kept, label_subset(objects, classes, 0.25, seed=2))
    assert label_subset(objects, classes, 1.0, seed=1).all()


@pytest.mark.parametrize(("fraction", "message"), [(0.0, r"\(0, 1\]"), (1.5, r"\(0, 1\]"), (0.01, "leaves class 1")])
def test_bad_fractions_are_refused(fraction: float, message: str) -> None:
    objects = torch.arange(100)
    with pytest.raises(ConfigError, match=message):
        label_subset(objects, (objects % 5 == 0).long(), fraction, seed=0)


def test_views() -> None:
    objects, views = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 2, 0, 1, 2])
    assert limit_views(objects, views, 2).tolist() == [True, True, False] * 2
    assert hold_out_view(objects, views).tolist() == [False, False, True] * 2
    with pytest.raises(ConfigError, match=r"n_views .* must be in 1\.\.3"):
        limit_views(objects, views, 4)
    with pytest.raises(ConfigError, match="only one"):
        hold_out_view(torch.arange(3), torch.tensor([3, 3, 3]))


def test_views_are_counted_for_each_object_whatever_their_numbers() -> None:
    objects, views = torch.tensor([4, 9, 4, 9, 2, 9]), torch.tensor([50, 3, 10, 1, 7, 2])
    assert view_places(objects, views).tolist() == [1, 2, 0, 0, 0, 1]
    assert limit_views(objects, views, 1).tolist() == [False, False, True, True, True, False]
    assert limit_views(objects, views, 2).tolist() == [True, False, True, True, True, True]
    assert hold_out_view(objects, views).tolist() == [True, True, False, False, False, False]
