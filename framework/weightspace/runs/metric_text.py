"""Formatting metrics as text, with one format for each kind, in tables, progress lines and reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

#: Metrics that are fractions, by the end of their name or of the part before the name of a class.
SHARES = ("accuracy", "precision", "recall", "f1", "auroc")
#: Metrics of which less is better, by the end of a part of their name.
LESS_IS_BETTER = ("loss", "mse", "mae", "regret", "seconds")
#: What is counted in whole numbers, or measured in many.
COUNTS = ("epochs", "parameters", "skipped_steps", "left_out", "per_second", "seconds")


def is_share(name: str) -> bool:
    """Whether a metric is a fraction, which is shown in percent.

    >>> is_share("best val/accuracy"), is_share("test/recall/cat"), is_share("test/r2")
    (True, True, False)
    """
    return any(part.endswith(SHARES) for part in name.split("/"))


def less_is_better(name: str) -> bool:
    """Whether a metric is an error or a cost.

    >>> less_is_better("test/mse/ankle"), less_is_better("test/accuracy")
    (True, False)
    """
    return any(part.endswith(LESS_IS_BETTER) for part in name.split("/"))


def metric_text(name: str, value: float) -> str:
    """Formats a metric by its kind: percent with one decimal, integers with thousands separators, or three digits.

    >>> metric_text("val/accuracy", 0.7083), metric_text("test/r2", 0.0384), metric_text("networks_per_second", 11951.2)
    ('70.8%', '0.0384', '11,951')
    """
    if not math.isfinite(value):
        return str(value)
    if is_share(name):
        return f"{value:.1%}"
    if name.endswith(COUNTS) and (abs(value) >= 10 or value == int(value)):
        return f"{value:,.0f}"
    return _fixed(value, _decimals(value, 3))


def mean_text(name: str, values: Sequence[float]) -> str:
    """Formats mean and sample standard deviation of a metric over runs; "" if there are no values.

    >>> mean_text("val/accuracy", [0.5, 0.6]), mean_text("test/r2", [0.038, 0.093]), mean_text("test/mse", [2.0])
    ('55.0 +- 7.1 %', '0.0655 +- 0.0389', '2.00')
    """
    if not values:
        return ""
    if len(values) == 1 or not all(map(math.isfinite, values)):
        return metric_text(name, mean(values))
    middle, spread = mean(values), stdev(values)
    if is_share(name):
        return f"{100 * middle:.1f} +- {100 * spread:.1f} %"
    if name.endswith(COUNTS) and abs(middle) >= 10:
        return f"{middle:,.0f} +- {spread:,.0f}"
    decimals = max(_decimals(max(abs(middle), spread), 3), _decimals(spread, 1))
    return f"{_fixed(middle, decimals)} +- {_fixed(spread, decimals)}"


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of fewer than two values, NaN if one is not finite.

    >>> deviation([1.0]), deviation([1.0, float("nan")]), deviation([1.0, 3.0])
    (None, nan, 1.4142135623730951)
    """
    if len(values) < 2:
        return None
    return stdev(values) if all(map(math.isfinite, values)) else math.nan


def _decimals(value: float, digits: int) -> int:
    """Number of decimals that show ``digits`` significant digits."""
    return 0 if value == 0 else digits - 1 - math.floor(math.log10(abs(value)))


def _fixed(value: float, decimals: int) -> str:
    if decimals > 8:  # a very small number
        return f"{value:.2e}"
    return f"{value:,.{max(0, decimals)}f}"
