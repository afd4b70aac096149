"""Which objects are drawn: as ever without groups, and whole groups with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pytest
from torch import Tensor
from weightspace.errors import ZooError
from weightspace.fitting.draw import drawn
from weightspace.sources.base import Source
from weightspace.zoo.strata import divided


class Numbers(Source):
    """Objects that are nothing but numbers, with sets of their own."""

    name = "numbers"
    in_dim = out_dim = 1
    digest = "0" * 64
    class_names = ("a", "b", "c")

    def __init__(self, train: int, val: int = 0, test: int = 0, groups: np.ndarray | None = None) -> None:
        self.arguments: dict = {}
        self.num_train, self.num_val, self.groups = train, val, groups
        self.targets = np.arange(train + val + test) % 3

    def points(self, objects: Tensor) -> Tensor:
        return objects[:, None] / len(self)

    values = points


def plans() -> Iterator[tuple[Source, tuple[int, int, int], int]]:
    for own_val, own_test in ((0, 0), (40, 0), (0, 50), (40, 50)):
        for seed in (0, 7):
            yield Numbers(100, own_val, own_test), (60, 20, 15), seed


@pytest.mark.parametrize(("source", "sizes", "seed"), list(plans()))
def test_without_groups_the_draws_are_those_of_earlier_versions(source: Source, sizes: tuple, seed: int) -> None:
    """Bit for bit: zoos that were fitted keep their objects."""
    train, val, test = sizes
    generator = np.random.Generator(np.random.PCG64(seed))
    first, rest = np.split(generator.permutation(100), [train])
    tests = generator.permutation(source.num_test) + 100 + source.num_val
    vals = generator.permutation(source.num_val) + 100 if source.num_val else rest
    tests = tests if source.num_test else rest if source.num_val else rest[val:]
    found = drawn(source, sizes, seed)
    for one, other in zip(found, (first, vals[:val], tests[:test]), strict=True):
        assert one.tolist() == other.tolist()


def test_the_draw_of_a_source_without_groups_is_known() -> None:
    assert [part.tolist() for part in drawn(Numbers(12), (3, 2, 2), 5)] == KNOWN


KNOWN = [[9, 11, 1], [3, 2], [4, 6]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(60, 15, 15), (200, 50, 50), (1, 0, 0), (270, 15, 15)])
def test_groups_are_in_one_split_and_classes_in_proportion(sizes: tuple[int, int, int], seed: int) -> None:
    groups = np.repeat(np.arange(300), 1)
    groups[:80] = np.repeat(np.arange(20), 4) + 1000
    groups[80:110] = 5000  # a large one
    source = Numbers(300, groups=np.random.default_rng(0).permutation(groups))
    parts = drawn(source, sizes, seed)
    assert tuple(map(len, parts)) == sizes
    together = np.concatenate(parts)
    assert len(np.unique(together)) == sum(sizes)
    for one, other in permutations(parts, 2):
        assert not set(source.groups[one]) & set(source.groups[other])
    assert [part.tolist() for part in parts] == [part.tolist() for part in drawn(source, sizes, seed)]
    assert [part.tolist() for part in parts] != [part.tolist() for part in drawn(source, sizes, seed + 10)]


@pytest.mark.parametrize("seed", range(5))
def test_classes_have_their_share_of_every_split(seed: int) -> None:
    """Also small ones: a class of a tenth has a tenth of each split, give or take one."""
    strata = np.repeat([0, 1, 2], [30, 90, 180])
    sizes = (60, 20, 20)
    for part, size in zip(divided(np.arange(300), strata, sizes, np.random.default_rng(seed)), sizes, strict=True):
        for stratum, share in ((0, 0.1), (1, 0.3), (2, 0.6)):
            assert abs((strata[part] == stratum).sum() - share * size) <= 1.5


def test_groups_stay_together_beside_own_sets() -> None:
    groups = np.concatenate([np.repeat(np.arange(50), 2), np.arange(100, 150)])
    source = Numbers(100, 0, 50, groups)
    train, val, test = drawn(source, (50, 30, 20), 0)
    assert (len(train), len(val), len(test)) == (50, 30, 20)
    assert max(train.max(), val.max()) < 100 <= test.min()
    assert not set(groups[train]) & set(groups[val])


def test_a_group_is_cut_rather_than_divided() -> None:
    """What does not fit is in no split; too few objects are an error."""
    parts = divided(np.repeat([0, 1], 5), np.zeros(10), (4, 3), np.random.default_rng(0))
    assert sorted(map(len, parts)) == [3, 4]
    with pytest.raises(ZooError, match=r"cannot be divided into 8, 2: ask for 2 fewer"):
        divided(np.repeat([0, 1], 5), np.zeros(10), (8, 2), np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(3))
def test_a_stratified_source_has_its_classes_in_proportion(seed: int) -> None:
    source = Numbers(90)
    source.targets = np.array([0] * 60 + [1] * 21 + [2] * 9)
    source.stratified = True
    parts = drawn(source, (50, 10, 20), seed)
    assert [len(set(part.tolist())) for part in parts] == [50, 10, 20]
    assert len(set(np.concatenate(parts).tolist())) == 80
    for part, size in zip(parts, (50, 10, 20), strict=True):
        assert abs(_share(source, part, 2) * size - 0.1 * size) <= 1


def _share(source: Source, part: np.ndarray, label: int) -> float:
    return float((source.targets[part] == label).mean())
