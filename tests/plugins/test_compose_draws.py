"""How often each part of a composition is drawn, against its weight."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec
from weightspace_plugins.compose import OneOf, Repeat, SomeOf
from weightspace_plugins.composition import Composition


def counts(composed: Composition, networks: int = 6000) -> Tensor:
    """(parts, B) how often each network is given to each part."""
    batch = WeightBatch(torch.zeros(networks, 9), NetworkSpec((2, 2, 1)), torch.zeros(networks).long(), num_classes=2)
    found = torch.zeros(len(composed.parts), networks, dtype=torch.int64)
    for place, rows, _ in composed.sample(batch, torch.Generator().manual_seed(0)).steps:
        found[place, slice(None) if rows is None else rows] += 1
    return found


def bound(share: float, networks: int = 6000) -> float:
    """Five standard deviations of a binomial share."""
    return 5 * math.sqrt(share * (1 - share) / networks)


@pytest.mark.parametrize("weights", [None, [1, 1, 1], [3.0, 2.0, 1.0], [0.01, 0.5, 0.49], [1e-6, 1, 1e6]])
def test_one_part_is_drawn_in_proportion_to_its_weight(weights) -> None:
    found = counts(OneOf(["permute", "sign_flip", "rotate"], weights))
    assert (found.sum(0) == 1).all()
    for share, weight in zip(found.double().mean(1).tolist(), weights or [1, 1, 1], strict=True):
        expected = weight / sum(weights or [1, 1, 1])
        assert abs(share - expected) <= bound(expected)


@pytest.mark.parametrize("weights", [None, [4.0, 2.0, 1.0, 1.0]])
def test_some_parts_are_drawn_one_after_another_without_those_before(weights) -> None:
    found = counts(SomeOf(2, ["permute", "sign_flip", "phase_shift", "dropout"], weights))
    assert (found.sum(0) == 2).all()
    assert found.max() == 1, "different ones"
    w = torch.tensor(weights or [1.0] * 4)
    for one in range(4):
        for other in range(one):
            orders = permutations((one, other))
            expected = sum(float(w[a] / w.sum() * w[b] / (w.sum() - w[a])) for a, b in orders)
            share = float((found[one] * found[other]).double().mean())
            assert abs(share - expected) <= bound(expected)


def test_each_network_draws_its_number_of_parts() -> None:
    number = counts(SomeOf([0, 2], ["permute", "sign_flip", "dropout"])).sum(0)
    for count in range(3):
        assert abs(float((number == count).double().mean()) - 1 / 3) <= bound(1 / 3)
    assert (counts(SomeOf([3, 3], ["permute", "sign_flip", "dropout"])) == 1).all()


def test_parts_have_a_p_of_their_own() -> None:
    found = counts(OneOf([{"permute": {"p": 0.25}}, {"sign_flip": {"p": 0.0}}], [2, 1]))
    assert abs(float(found[0].double().mean()) - 2 / 3 / 4) <= bound(2 / 3 / 4)
    assert not found[1].any()
    times = counts(Repeat({"permute": {"p": 0.5}}, 2)).sum(0)
    assert abs(float((times == 1).double().mean()) - 0.5) <= bound(0.5), "drawn each time"
