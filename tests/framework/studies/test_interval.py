"""Intervals of paired differences: against scipy, against loops, and against how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from weightspace.studies.interval import Difference, difference_by_object, difference_by_seed, over_views
from weightspace.studies.pairs import difference_of


def test_by_seed_it_is_the_interval_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    variant, baseline = rng.normal(0.6, 0.02, 5), rng.normal(0.5, 0.02, 5)
    found = difference_by_seed(variant - baseline)
    expected = scipy.stats.ttest_rel(variant, baseline).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx((variant - baseline).mean())


def test_a_single_number_has_no_interval() -> None:
    found = difference_by_seed(np.array([0.3]))
    assert (found.mean, found.low, found.high, found.resolved) == (0.3, None, None, False)


def test_with_one_seed_it_is_the_paired_t_test_over_objects() -> None:
    rng = np.random.default_rng(1)
    variant, baseline = rng.random((2, 1, 200)) < [[[0.6]], [[0.5]]]
    found = difference_by_object(variant.astype(float) - baseline)
    expected = scipy.stats.ttest_rel(variant[0].astype(float), baseline[0].astype(float)).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_variance_is_that_of_the_two_way_layout_written_as_loops() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(size=(4, 30)) + rng.normal(size=(4, 1)) + rng.normal(size=(1, 30))
    seeds, objects = table.shape
    mean = sum(table[s, i] for s in range(seeds) for i in range(objects)) / table.size
    row = [sum(table[s]) / objects for s in range(seeds)]
    column = [sum(table[:, i]) / seeds for i in range(objects)]
    of_seeds = objects * sum((r - mean) ** 2 for r in row) / (seeds - 1)
    of_objects = seeds * sum((c - mean) ** 2 for c in column) / (objects - 1)
    rest = sum((table[s, i] - row[s] - column[i] + mean) ** 2 for s in range(seeds) for i in range(objects))
    of_rest = rest / ((seeds - 1) * (objects - 1))
    total = of_seeds + of_objects - of_rest
    squares = of_seeds**2 / (seeds - 1) + of_objects**2 / (objects - 1)
    degrees = total**2 / (squares + of_rest**2 / ((seeds - 1) * (objects - 1)))
    half = scipy.stats.t.ppf(0.975, degrees) * (total / table.size) ** 0.5
    found = difference_by_object(table)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))


@pytest.mark.parametrize("of_seed", [0.0, 0.06])
def test_it_covers_the_truth_as_often_as_it_says(of_seed: float) -> None:
    """Right and wrong answers, whose chances vary by seed and by object; an interval over objects alone does not."""
    rng = np.random.default_rng(3)
    gain, seeds, objects, draws = 0.05, 3, 300, 300
    covered = by_objects_alone = 0
    for _ in range(draws):
        easy = rng.uniform(0.2, 0.8, objects)
        shared = easy + rng.normal(0, of_seed, (seeds, 1))
        answers = rng.random((2, seeds, objects)) < [shared, shared * 0 + easy + gain]
        table = answers[1].astype(float) - answers[0]
        found = difference_by_object(table)
        covered += found.low <= gain <= found.high
        pooled = table.mean(0)
        by_objects_alone += abs(pooled.mean() - gain) <= 1.96 * pooled.std(ddof=1) / objects**0.5
    assert covered / draws >= 0.925, "at least about 95%: it errs towards wide intervals"
    if of_seed:
        assert by_objects_alone / draws < 0.85


def test_no_difference_at_all_is_an_interval_without_width() -> None:
    found = difference_by_object(np.zeros((3, 10)))
    assert (found.mean, found.low, found.high, found.resolved) == (0, 0, 0, False)


@pytest.mark.parametrize("values", [np.full(2, 1 / 64), np.full((2, 5), -1.0), np.array([0.3, 0.1 + 0.2])])
def test_pairs_that_are_all_equal_say_nothing_about_others(values: np.ndarray) -> None:
    found = difference_of(values)
    assert found == Difference(float(values.mean()))
    assert not found.resolved


@pytest.mark.parametrize(
    ("values", "resolved"), [([1.0, 1.1, 0.9], True), ([-1.0, -1.1, -0.9], True), ([1, -1], False)]
)
def test_a_difference_is_resolved_if_its_interval_excludes_zero(values: list[float], resolved: bool) -> None:
    assert difference_by_seed(np.array(values)).resolved is resolved


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_a_second_view_that_says_the_same_changes_nothing(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    table = rng.integers(-1, 2, (seeds, 40)).astype(np.float64)
    views = rng.integers(1, 3, 40)  # some have a second one
    again = over_views(np.repeat(table, views, axis=1), views)
    assert difference_by_object(again) == difference_by_object(table)
    if seeds == 1:
        each_view = difference_by_object(np.repeat(table, 2, axis=1))
        single = difference_by_object(table)
        assert each_view.high - each_view.low < 0.72 * (single.high - single.low), "as if there were twice as many"


def test_the_views_of_an_object_are_averaged() -> None:
    values = np.random.default_rng(0).normal(size=(3, 7))
    views = np.array([2, 1, 4])
    expected = [[row[:2].mean(), row[2], row[3:].mean()] for row in values]
    assert over_views(values, views) == pytest.approx(np.array(expected))
