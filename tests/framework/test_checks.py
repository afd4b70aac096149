"""The checks of arguments: what passes, and the one style of message for what does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from weightspace.augment import Augmentation
from weightspace.checks import check_choice, check_number, check_rates, check_sizes, check_whole, require
from weightspace.errors import AugmentationError, ConfigError, RecipeError


@pytest.mark.parametrize("value", [1, 3, np.int64(2)])
def test_whole_numbers_in_the_range_are_returned_as_int(value) -> None:
    assert check_whole("n", value, 1, 3) == value
    assert type(check_whole("n", value, 1, 3)) is int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "n must be in 1..3, found 0"),
        (4, "n must be in 1..3, found 4"),
        (10**40, "n must be in 1..3, found 1000000000"),
        (2.0, "n must be a whole number, in 1..3, found 2.0"),
        (math.nan, "n must be a whole number, in 1..3, found nan"),
        (True, "n must be a whole number, in 1..3, found True"),
        (np.True_, "n must be a whole number, in 1..3, found "),
        ("2", "n must be a whole number, in 1..3, found '2'"),
        (None, "n must be a whole number, in 1..3, found None"),
    ],
)
def test_others_are_refused_as_whole_numbers(value, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_whole("n", value, 1, 3, RecipeError)
    assert str(caught.value).startswith(message)


def test_a_whole_number_may_have_no_upper_end() -> None:
    assert check_whole("n", 10**400, 1) == 10**400
    with pytest.raises(ConfigError, match="^n must be at least 1, found 0$"):
        check_whole("n", 0, 1)


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        ({"low": 0, "high": 1}, [0, 0.5, 1], [-1e-9, 1.1], "in 0..1"),
        ({"low": 0, "below": 1}, [0, 0.5], [-1e-9, 1], "in [0, 1)"),
        ({"above": 0, "high": 1}, [1e-9, 1], [0, 2], "in (0, 1]"),
        ({"above": 0, "below": 1}, [0.5], [0, 1], "in (0, 1)"),
        ({"low": 1}, [1, 1e300], [0.9], "at least 1"),
        ({"above": 0}, [1e-300, np.float32(3)], [0, -1], "> 0"),
        ({"high": 1}, [1, -1e300], [1.1], "at most 1"),
        ({"below": 1}, [0.9], [1], "< 1"),
    ],
)
def test_numbers_within_the_limits_are_returned_and_others_are_refused(limits, inside, outside, words: str) -> None:
    for value in inside:
        assert check_number("x", value, **limits) == value
    for value in outside:
        with pytest.raises(ConfigError) as caught:
            check_number("x", value, **limits)
        assert str(caught.value) == f"x must be {words}, found {value!r}"
    for value in (math.nan, math.inf, -math.inf, "0.5", None, True, [0.5]):
        with pytest.raises(ConfigError) as caught:
            check_number("x", value, **limits)
        assert str(caught.value) == f"x must be a finite number, {words}, found {value!r}"


def test_a_number_may_have_no_limits_or_be_infinite() -> None:
    assert check_number("x", -1e300) == -1e300
    assert check_number("x", math.inf, low=0, finite=False) == math.inf
    with pytest.raises(AugmentationError, match="^x must be a finite number, found nan$"):
        check_number("x", math.nan, error=AugmentationError)
    with pytest.raises(ConfigError, match="^x must be at least 0, found -inf$"):
        check_number("x", -math.inf, low=0, finite=False)
    with pytest.raises(ConfigError, match="^x must be a number, at least 0, found nan$"):
        check_number("x", math.nan, low=0, finite=False)


@pytest.mark.parametrize(
    ("value", "known", "message"),
    [
        ("c", ("a", "b"), "x must be a or b, found 'c'"),
        ("d", ("a", "b", "c"), "x must be one of a, b, c, found 'd'"),
        (True, (1, 2), "x must be 1 or 2, found True"),
        (["a"], ("a", "b"), "x must be a or b, found ['a']"),
        (None, {"a": 0}, "x must be a, found None"),
    ],
)
def test_a_choice_names_what_is_known(value, known, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_choice("x", value, known)
    assert str(caught.value) == message
    assert check_choice("x", next(iter(known)), known) == next(iter(known))


@pytest.mark.parametrize("value", [-0.1, 1.1, 1, math.nan, math.inf, "0.5", None, True, np.True_])
def test_authors_of_augmentations_have_the_same_checks(value) -> None:
    with pytest.raises(AugmentationError, match=r"^Augmentation: scale must be in 0..1, but not 1, found "):
        Augmentation.in_range("scale", value, 0, 1, exclude=(1,))
    with pytest.raises(AugmentationError, match=r"^Augmentation: count must be .*in 2..1,000, found "):
        Augmentation.whole("count", value, 2, 1_000)
    assert Augmentation.in_range("scale", math.inf, 0, math.inf) == math.inf


def test_several_arguments_of_a_class_are_checked_at_once() -> None:
    check_sizes("MLP", hidden=2, layers=1)
    with pytest.raises(ConfigError, match="^MLP: layers must be at least 2, found 1$"):
        check_sizes("MLP", least=2, hidden=2, layers=1)
    check_rates("MLP", dropout=0.0)
    with pytest.raises(ConfigError, match=r"^MLP: dropout must be in \[0, 1\), found 1.0$"):
        check_rates("MLP", dropout=1.0)


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(ConfigError) as caught:
        require("name", "a" * 10_000, False, "short")
    assert len(str(caught.value)) < 100
