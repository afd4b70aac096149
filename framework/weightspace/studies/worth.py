r"""How much data a variant is worth: how many times more of it the baseline needs to be as accurate.

The baseline's accuracies a_1, ..., a_K at the amounts n_1 < ... < n_K are its curve. Isotonic regression makes it
monotone (Barlow et al., Statistical Inference under Order Restrictions, 1972),

    b_k = max_{i <= k} min_{j >= k} mean(a_i, ..., a_j),

and between amounts it is linear in log n. A variant with accuracy a at the amount n is worth the factor

    min {m : b(m) >= a} / n.

It is known between n_1 / n and n_K / n alone. An accuracy above b_K is worth more than the latter: infinity here. One
below b_1 is worth less than the former: 0 here.

The interval has the factors that cannot be excluded. An amount m is excluded if the baseline with m is different from
the variant: if the interval of their paired difference (see ``interval``) excludes 0. Between amounts, the baseline's
answers to each test object are interpolated like their means. The ends are the smallest m / n with which the baseline
is not worse and the largest with which it is not better, and 0 or infinity where the start or the end of the curve is
so: on a curve that rises, the smallest and the largest that is not excluded; one that falls gives longer intervals. So
the difference is resolved where the factor 1 is excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from weightspace.studies.interval import difference_by_object, difference_by_seed

#: Places between two amounts where the difference is computed; ends of intervals are found between these.
PLACES = 8


@dataclass(frozen=True)
class Worth:
    """A factor of data.

    Attributes:
        factor: how many times more data the baseline needs; infinity: more than ``most``; 0: less than ``least``.
        least, most: factors at the start and the end of the baseline's curve.
        low, high: ends of the interval, like ``factor``; None: one seed without test objects has none.
    """

    factor: float
    least: float
    most: float
    low: float | None = None
    high: float | None = None


def monotone(curve: np.ndarray) -> np.ndarray:
    """The curve that does not fall, and is closest to the given one in least squares.

    Args:
        curve: (K,).

    >>> monotone(np.array([1.0, 3.0, 2.0, 4.0])).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    numbers = range(len(curve))
    return np.array([max(min(curve[i : j + 1].mean() for j in numbers[k:]) for i in numbers[: k + 1]) for k in numbers])


def amount_needed(amounts: np.ndarray, curve: np.ndarray, accuracy: float) -> float:
    """The smallest amount with which a curve reaches an accuracy: 0 below its start, infinity above its end.

    Args:
        amounts: (K,) increasing, K >= 2.
        curve: (K,) accuracies; made monotone.
        accuracy: what is to be reached.

    >>> amounts, curve = np.array([100.0, 1000.0, 2000.0]), np.array([0.5, 0.75, 0.5])
    >>> [round(amount_needed(amounts, curve, accuracy)) for accuracy in (0.4, 0.5, 0.5625, 0.625)]
    [0, 100, 316, 1000]
    """
    curve = monotone(curve)
    if not curve[0] <= accuracy <= curve[-1]:
        return 0.0 if accuracy < curve[0] else np.inf
    right = int(np.searchsorted(curve, accuracy))  # the first that reaches it
    if right == 0 or curve[right] == accuracy:
        return float(amounts[right])
    ends = slice(right - 1, right + 1)
    return float(np.exp(np.interp(accuracy, curve[ends], np.log(amounts[ends]))))


def worth(amounts: Sequence[float], amount: float, curve: np.ndarray, variant: np.ndarray) -> Worth:
    """What a variant is worth, see the module's description.

    Args:
        amounts: K of the baseline's curve, increasing, K >= 2.
        amount: of the variant.
        curve: of the baseline, (K, S) accuracies by seed, or (K, S, N) how often it is right about each test object.
        variant: of the variant, (S,) or (S, N), N >= 2.

    >>> found = worth([500, 2000], 500, np.array([[0.5, 0.5], [0.7, 0.7]]), np.array([0.6, 0.6]))
    >>> print(f"{found.factor:.2f} in {found.low:.2f} to {found.high:.2f}, up to {found.most:.0f}")
    2.00 in 2.00 to 2.00, up to 4
    """
    numbers = np.array(amounts, float)
    needed = amount_needed(numbers, curve.reshape(len(numbers), -1).mean(1), float(variant.mean()))
    least, most = (float(end / amount) for end in numbers[[0, -1]])
    logs = np.log(numbers)
    if np.isnan(_difference(logs, curve, variant, logs[0])).any():
        return Worth(needed / amount, least, most)
    low, high = (float(np.exp(end) / amount) for end in _not_excluded(logs, curve, variant))
    return Worth(needed / amount, least, most, low, high)


def _not_excluded(logs: np.ndarray, curve: np.ndarray, variant: np.ndarray) -> tuple[float, float]:
    """Logarithms of the smallest amount with which the baseline is not worse, and the largest where not better."""
    places = np.interp(np.arange((len(logs) - 1) * PLACES + 1) / PLACES, np.arange(len(logs)), logs)
    lows, highs = np.array([_difference(logs, curve, variant, place) for place in places]).T
    low = _first_below(places, lows, lambda place: _difference(logs, curve, variant, place)[0])
    high = _first_below(places[::-1], -highs[::-1], lambda place: -_difference(logs, curve, variant, place)[1])
    return low, high


def _difference(logs: np.ndarray, curve: np.ndarray, variant: np.ndarray, place: float) -> np.ndarray:
    """(2,) interval of the difference to the baseline at the logarithm of an amount; nan: there is none."""
    right = int(np.searchsorted(logs, place).clip(1, len(logs) - 1))
    share = (place - logs[right - 1]) / (logs[right] - logs[right - 1])
    differences = variant - (1 - share) * curve[right - 1] - share * curve[right]
    found = difference_by_object(differences) if variant.ndim == 2 else difference_by_seed(differences)
    return np.array([found.low, found.high], float)


def _first_below(places: np.ndarray, values: np.ndarray, value_at: Callable[[float], float]) -> float:
    """Where values fall to 0 first: minus infinity before the first place, infinity behind the last.

    For places in falling order, infinity and minus infinity are exchanged.
    """
    outside = np.inf if places[0] < places[-1] else -np.inf
    (below,) = np.nonzero(values <= 0)
    if not len(below):
        return outside
    return float(brentq(value_at, places[below[0] - 1], places[below[0]])) if below[0] else -outside


def worth_text(found: Worth | None) -> str:
    """As "3.4x (2.1 to > 5.5)"; empty for None.

    >>> worth_text(Worth(3.42, 0.25, 5.5, 2.13, float("inf"))), worth_text(Worth(0.0, 0.25, 5.5, 0.0, 0.0))
    ('3.4x (2.1 to > 5.5)', '< 0.25x')
    """
    if found is None:
        return ""
    factor, low, high = (factor_text(found, value) for value in (found.factor, found.low, found.high))
    beyond = found.factor in (0, np.inf) and found.low == found.high == found.factor
    return f"{factor}x" if beyond or not low else f"{factor}x ({low} to {high})"


def factor_text(found: Worth, value: float | None) -> str:
    """A factor of ``found`` as text: with two digits, or as the bound beyond which it is.

    >>> found = Worth(12.34, 0.25, 27.5)
    >>> [factor_text(found, value) for value in (0.333, 3.42, 12.34, 0.0, float("inf"), None)]
    ['0.33', '3.4', '12', '< 0.25', '> 27.5', '']
    """
    if value is None:
        return ""
    if value in (0, np.inf):
        bound = found.most if value else found.least
        return f"{'>' if value else '<'} {f'{bound:,.0f}' if bound >= 100 else f'{bound:.3g}'}"
    return f"{value:,.{0 if value >= 10 else 1 if value >= 1 else 2}f}"
