"""Choosing networks of a zoo, from Python."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from weightspace.errors import ZooError
from weightspace.zoo import Zoo

EVERY_SECOND = torch.arange(220) % 2 == 0


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (5, [5]),
        (-1, [219]),
        (np.int64(7), [7]),
        (slice(8, 16), range(8, 16)),
        (slice(None, None, -100), [219, 119, 19]),
        ([2, 1, 2], [2, 1, 2]),
        (range(3), range(3)),
        ([], []),
        (torch.tensor([3, -3]), [3, 217]),
        (torch.tensor([1, 0], dtype=torch.uint8), [1, 0]),
        (np.array([4, 2]), [4, 2]),
        (EVERY_SECOND, range(0, 220, 2)),
        (EVERY_SECOND.tolist(), range(0, 220, 2)),
        (EVERY_SECOND.numpy(), range(0, 220, 2)),
    ],
    ids=str,
)
def test_networks_by_number(zoo: Zoo, index: Any, rows: Any) -> None:
    batch, expected = zoo[index], zoo.batch(torch.tensor(rows, dtype=torch.int64))
    assert batch.num_classes == 10
    for name in ("params", "targets", "objects", "views"):
        assert torch.equal(getattr(batch, name), getattr(expected, name))


def test_a_split_is_a_sequence(zoo: Zoo) -> None:
    split = zoo["val"]
    assert len(split) == 20
    assert split[:8].objects.tolist() == zoo.objects[zoo.rows("val")[:8]].tolist()
    assert split[-1].objects.tolist() == zoo.objects[zoo.rows("val")[-1:]].tolist()
    assert sum(len(batch) for batch in split) == 20  # as every sequence, it ends
    assert len(zoo["internal"]) == len(zoo["internal"][:]) == 0


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        ("trian", ZooError, "has no split 'trian': did you mean 'train'[?] Known: internal, test, train, val"),
        (220, IndexError, r"has networks 0..219, asked for 220"),
        ([0, -221], IndexError, r"asked for -221..0"),
        (torch.ones(3, dtype=torch.bool), IndexError, r"a mask must have 220 entries, found the shape \(3,\)"),
        (1.0, TypeError, "whole numbers, or a mask"),
        (None, TypeError, "found None"),
        ((0, 1.5), TypeError, r"found \(0, 1.5\)"),
        ([[0], [1]], TypeError, "chosen by"),
    ],
    ids=str,
)
def test_what_there_is_not(zoo: Zoo, index: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        zoo[index]


def test_a_wrong_number_within_a_split_names_the_split(zoo: Zoo) -> None:
    with pytest.raises(IndexError, match=r"split 'val' of .* has networks 0..19, asked for 20"):
        zoo["val"][20]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_dataset_for_a_loop_of_ones_own(zoo: Zoo, num_workers: int) -> None:
    dataset = zoo.to_dataset("train")
    params, target = dataset[-1]
    assert torch.equal(params, zoo["train"][-1].params[0])
    assert int(target) == int(zoo["train"][-1].targets)
    with pytest.raises(IndexError, match="there are 180 networks"):
        dataset[180]
    batches = list(DataLoader(dataset, batch_size=32, num_workers=num_workers))
    assert torch.equal(torch.cat([params for params, _ in batches]), zoo["train"][:].params)
    assert torch.equal(torch.cat([target for _, target in batches]), zoo["train"][:].targets)
    assert len(zoo.to_dataset("train", first_view_only=True)) == 60


def test_a_dataset_and_a_split_can_be_sent_to_a_process(zoo: Zoo) -> None:
    sent = pickle.loads(pickle.dumps((zoo.to_dataset("val"), zoo["val"])))
    assert torch.equal(sent[0][0][0], sent[1][0].params[0])


def test_a_zoo_says_what_it_holds(zoo: Zoo) -> None:
    assert repr(zoo) == (
        f"Zoo {zoo.path}: 220 networks\n"
        "  2-8-8-1 sine, omega 30, output +0.5, 105 parameters each\n"
        "  train 180, val 20, test 20\n"
        "  10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"
        "  source: digits, recipe siren, hidden=[8, 8], steps=60"
    )
    assert repr(zoo["val"]) == f"Split 'val' of {zoo.path}: 20 networks"
