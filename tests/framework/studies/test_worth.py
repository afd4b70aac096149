"""Factors of data: where they are exact, beyond the curve, against scikit-learn, and how often intervals cover them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from sklearn.isotonic import IsotonicRegression
from weightspace.studies.interval import difference_by_object
from weightspace.studies.worth import Worth, amount_needed, monotone, worth, worth_text

AMOUNTS = np.array([500.0, 2000.0, 10000.0, 20000.0, 55000.0])
INF = float("inf")


def accuracy(amount: np.ndarray | float) -> np.ndarray:
    return np.asarray(0.3 + 0.08 * np.log(np.asarray(amount) / 500))


def answers(rng: np.random.Generator, shares: np.ndarray, seeds: int, objects: int, of_seed: float = 0.0) -> np.ndarray:
    """(R, S, N) right answers with these means: chances depend on the object, and differ by seed in each row."""
    ease = rng.normal(size=objects)
    chances = shares[:, None, None] + rng.normal(0, of_seed, (len(shares), seeds, 1))
    latent = 0.8 * ease + 0.6 * rng.normal(size=(len(shares), seeds, objects))
    return (scipy.stats.norm.cdf(latent) < chances).astype(float)


def test_curves_are_made_monotone_as_scikit_learn_does() -> None:
    for curve in np.random.default_rng(0).normal(size=(50, 6)).cumsum(1):
        assert monotone(curve) == pytest.approx(IsotonicRegression().fit_transform(range(6), curve))
        rising = np.sort(curve)
        assert (monotone(rising) == rising).all()


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0, 13.0])
def test_a_curve_that_is_shifted_by_a_factor_is_worth_it(factor: float) -> None:
    curve = np.repeat(accuracy(AMOUNTS)[:, None], 3, axis=1) + np.array([-0.01, 0.0, 0.01])
    variant = accuracy(factor * 2000) + np.array([-0.01, 0.0, 0.01])
    found = worth(AMOUNTS, 2000, curve, variant)
    assert found.factor == pytest.approx(factor)
    assert (found.low, found.high) == pytest.approx((factor, factor)), "seeds are paired: nothing varies"
    assert (found.least, found.most) == (0.25, 27.5)


def test_the_same_answers_are_worth_the_same_data() -> None:
    right = answers(np.random.default_rng(1), accuracy(AMOUNTS), 2, 200)
    for amount, variant in zip(AMOUNTS, right, strict=True):
        found = worth(AMOUNTS, amount, right, variant)
        assert found.factor == 1
        assert found.low <= 1 <= found.high


def test_beyond_the_curve_a_factor_is_a_bound() -> None:
    right = answers(np.random.default_rng(2), np.append(accuracy(AMOUNTS), [0.9, 0.1]), 3, 500)
    above, below = (worth(AMOUNTS, 10000, right[:-2], variant) for variant in right[-2:])
    assert (above.factor, above.low, above.high) == (INF, INF, INF)
    assert (below.factor, below.low, below.high) == (0, 0, 0)
    assert (worth_text(above), worth_text(below)) == ("> 5.5x", "< 0.05x")
    near = worth(AMOUNTS, 10000, right[:-2], right[4])
    assert near.factor == pytest.approx(5.5)
    assert 2 < near.low < 5.5
    assert near.high == INF, "the end of the curve cannot be excluded"
    assert worth_text(near).endswith("to > 5.5)")
    assert worth(AMOUNTS, 500, right[:-2], right[0]).low == 0, "nor can its start"


def test_a_flat_part_of_the_curve_is_reached_with_its_smallest_amount() -> None:
    curve = np.array([0.5, 0.75, 0.75, 0.75, 0.875])
    assert amount_needed(AMOUNTS, curve, 0.75) == 2000
    assert [amount_needed(AMOUNTS, np.full(5, 0.5), wanted) for wanted in (0.4, 0.5, 0.6)] == [0, 500, INF]


def test_on_a_curve_that_falls_between_the_interval_has_all_that_is_not_excluded() -> None:
    means = np.array([0.3, 0.5, 0.4, 0.6, 0.7])
    right = answers(np.random.default_rng(3), np.append(means, 0.43), 3, 4000)
    found = worth(AMOUNTS, 2000, right[:-1], right[-1])
    assert 500 < found.low * 2000 < found.factor * 2000 < 2000, "amounts of 2,000 and 10,000 are pooled, at 0.45"
    assert 10000 < found.high * 2000 < 20000, "the baseline reaches it once more"


def test_a_curve_that_falls_at_its_end_gives_an_interval_with_the_factor() -> None:
    means = np.array([0.3, 0.5, 0.7, 0.7, 0.4])
    right = answers(np.random.default_rng(6), np.append(means, 0.65), 3, 4000)
    found = worth(AMOUNTS, 2000, right[:-1], right[-1])
    assert found.factor == INF, "the last three are pooled, at 0.6"
    assert 2000 < found.low * 2000 < 10000
    assert found.high == INF, "the baseline's end is worse, not better"


@pytest.mark.parametrize("number", range(6))
def test_the_factor_one_is_excluded_where_the_difference_is_resolved(number: int) -> None:
    rng = np.random.default_rng(number)
    gain = [-0.1, -0.03, 0.0, 0.02, 0.05, 0.1][number]
    right = answers(rng, np.append(accuracy(AMOUNTS), accuracy(2000) + gain), 3, 400)
    found = worth(AMOUNTS, 2000, right[:-1], right[-1])
    assert difference_by_object(right[-1] - right[1]).resolved is not (found.low <= 1 <= found.high)


def test_one_seed_has_an_interval_over_test_objects_alone() -> None:
    right = answers(np.random.default_rng(4), np.append(accuracy(AMOUNTS), accuracy(8000)), 1, 1000)
    assert 1 < worth(AMOUNTS, 2000, right[:-1], right[-1]).low < 4
    found = worth(AMOUNTS, 2000, right[:-1].mean(-1), right[-1].mean(-1))
    assert (found.low, found.high) == (None, None)
    assert "(" not in worth_text(found)


@pytest.mark.parametrize("of_seed", [0.0, 0.02])
def test_it_covers_the_truth_as_often_as_it_says(of_seed: float) -> None:
    rng, covered, draws = np.random.default_rng(5), 0, 60
    shares = np.append(accuracy(AMOUNTS), accuracy(4 * 2000))
    for _ in range(draws):
        right = answers(rng, shares, 3, 300, of_seed)
        found = worth(AMOUNTS, 2000, right[:-1], right[-1])
        covered += found.low <= 4 <= found.high
    assert covered / draws >= 0.9


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, ""),
        (Worth(3.42, 0.25, 27.5), "3.4x"),
        (Worth(12.4, 0.25, 27.5, 5.04, INF), "12x (5.0 to > 27.5)"),
        (Worth(0.8, 0.25, 110.0, 0.0, 120.0), "0.80x (< 0.25 to 120)"),
        (Worth(INF, 1.0, 1100.0, 90.0, INF), "> 1,100x (90 to > 1,100)"),
        (Worth(INF, 1.0, 110.0), "> 110x"),
    ],
)
def test_factors_are_written_with_two_digits_and_bounds_as_bounds(found: Worth | None, text: str) -> None:
    assert worth_text(found) == text
