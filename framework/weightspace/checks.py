"""Checks of arguments, all with one style of message: ``data.batch_size must be at least 1, found 0``."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from numbers import Integral, Real
from reprlib import repr as short
from typing import Any, TypeVar

from weightspace.errors import ConfigError, WeightspaceError

T = TypeVar("T")
#: Type of the error that a check raises.
Raises = type[WeightspaceError]


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or NumPy; True and False are not.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object, finite: bool = True) -> bool:
    """Whether it is a real number of Python or NumPy, not NaN, and finite if required.

    True and False are not.

    >>> is_number(3), is_number(0.5), is_number(float("nan")), is_number("3"), is_number(True)
    (True, True, False, False, False)
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return -math.inf < value < math.inf or (not finite and abs(value) == math.inf)  # type: ignore[operator]


def require(name: str, value: object, holds: bool, expected: str, error: Raises = ConfigError) -> None:
    """Raises an error that says what was expected and what was found, unless the condition holds.

    Args:
        name: of the argument: the message begins with it.
        value: what was given.
        holds: the condition.
        expected: what the value must be, in words.
        error: type of the error.
    """
    if not holds:
        raise error(f"{name} must be {expected}, found {short(value)}")


def check_whole(name: str, value: Any, low: int, high: int | None = None, error: Raises = ConfigError) -> int:
    """Returns a whole number of at least ``low`` and, if given, at most ``high``.

    Raises:
        error: it is out of range, or not a whole number.

    >>> check_whole("data.batch_size", 0, low=1)
    Traceback (most recent call last):
    weightspace.errors.ConfigError: data.batch_size must be at least 1, found 0
    """
    expected, inside = f"at least {low:,}" if high is None else f"in {low:,}..{high:,}", False
    if is_whole(value):
        inside = low <= value and (high is None or value <= high)
    else:
        expected = f"a whole number, {expected}"
    require(name, value, inside, expected, error)
    return int(value)


def check_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
    finite: bool = True,
    error: Raises = ConfigError,
) -> float:
    """Returns a number within the limits that are given.

    Args:
        name: of the argument, for the message.
        value: what was given.
        low, high: ends that belong to the range.
        above, below: ends that do not.
        finite: infinity is refused.
        error: type of the error.

    Raises:
        error: it is out of range, or not a number.

    >>> check_number("dropout", 1.5, low=0, below=1)
    Traceback (most recent call last):
    weightspace.errors.ConfigError: dropout must be in [0, 1), found 1.5
    """
    expected, inside = _in_words(low, high, above, below), False
    if is_number(value, finite):
        inside = low <= value <= high and (above is None or value > above) and (below is None or value < below)
    else:
        expected = f"a {'finite ' if finite else ''}number, {expected}".removesuffix(", ")
    require(name, value, inside, expected, error)
    return float(value)


def check_choice(name: str, value: T, known: Collection[T], error: Raises = ConfigError) -> T:
    """Returns one of the known values.

    Raises:
        error: it is none of them.

    >>> check_choice("monitor_mode", "maxx", ("max", "min"))
    Traceback (most recent call last):
    weightspace.errors.ConfigError: monitor_mode must be max or min, found 'maxx'
    """
    words = [str(choice) for choice in known]
    expected = " or ".join(words) if len(words) <= 2 else f"one of {', '.join(words)}"
    require(name, value, any(type(value) is type(choice) and value == choice for choice in known), expected, error)
    return value


def check_path(name: str, value: Any, error: Raises = ConfigError) -> str | os.PathLike[str]:
    """Returns the path of a file or a folder.

    Raises:
        error: it is neither text nor a path.

    >>> check_path("path", 3)
    Traceback (most recent call last):
    weightspace.errors.ConfigError: path must be text or a Path, found 3
    """
    require(name, value, isinstance(value, str | os.PathLike), "text or a Path", error)
    return value


def check_sizes(owner: str, least: int = 1, **sizes: int) -> None:
    """Raises ConfigError if one of the sizes of ``owner``, a class, is not a whole number of at least ``least``."""
    for name, value in sizes.items():
        check_whole(f"{owner}: {name}", value, low=least)


def check_rates(owner: str, **rates: float) -> None:
    """Raises ConfigError if one of the rates of ``owner``, for instance of dropout, is not in [0, 1)."""
    for name, value in rates.items():
        check_number(f"{owner}: {name}", value, low=0, below=1)


def _in_words(low: float, high: float, above: float | None, below: float | None) -> str:
    """A range as messages say it: "at least 1", "> 0", "in 0..1", "in [0, 1)"."""
    lower, upper = low if above is None else above, high if below is None else below
    if math.isinf(lower) and math.isinf(upper):
        return ""
    if math.isinf(upper):
        return f"at least {lower:g}" if above is None else f"> {lower:g}"
    if math.isinf(lower):
        return f"at most {upper:g}" if below is None else f"< {upper:g}"
    if above is None and below is None:
        return f"in {lower:g}..{upper:g}"
    return f"in {'[' if above is None else '('}{lower:g}, {upper:g}{']' if below is None else ')'}"
