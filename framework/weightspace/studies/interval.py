"""How much better one variant is than another, with an interval: pairs are seeds and test objects.

Both variants are trained with the same seeds and tested on the same objects. The differences d_si of seed s and object
i (right or wrong: 1, 0 or -1; of several views, their mean) vary by three causes that are independent: the seed, the
object, and their meeting. With S seeds and N objects, mean squares of the two-way layout estimate the variance of the
mean,

    (MS_seeds + MS_objects - MS_rest) / (S N),

and Satterthwaite's approximation its degrees of freedom (Satterthwaite, Biometrics Bulletin 2, 1946). The interval then
holds for other seeds and other objects. With one seed it holds for other objects alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats

#: Probability that an interval covers the true difference.
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A difference of two variants.

    Attributes:
        mean: variant minus baseline.
        low, high: ends of the interval; None: a single number has none, and neither have pairs that are all equal.
        equal: whether no pair differs, which says nothing about how much others would.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    equal: bool = False

    @property
    def resolved(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and self.low * self.high > 0


def difference_by_seed(differences: np.ndarray) -> Difference:
    """The mean of paired differences of a metric, one for each seed, with Student's interval.

    Args:
        differences: (S,).

    >>> found = difference_by_seed(np.array([1.0, 2.0, 3.0]))
    >>> print(f"{found.mean:.1f} in {found.low:.2f} to {found.high:.2f}")
    2.0 in -0.48 to 4.48
    """
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return Difference(mean)
    return _interval(mean, float(differences.var(ddof=1)) / count, count - 1)


def difference_by_object(differences: np.ndarray) -> Difference:
    """The mean of paired differences of single objects by seed, see the module's description.

    Args:
        differences: (S, N), N >= 2: variant right minus baseline right.

    >>> difference_by_object(np.array([[1, 0, 1, 0], [1, 0, 0, 1]])).mean
    0.5
    """
    seeds, objects = differences.shape
    mean = float(differences.mean())
    of_objects = float(differences.mean(0).var(ddof=1)) * seeds  # mean squares
    if seeds < 2:
        return _interval(mean, of_objects / objects, objects - 1)
    of_seeds = float(differences.mean(1).var(ddof=1)) * objects
    rest = differences - differences.mean(0) - differences.mean(1, keepdims=True) + mean
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (objects - 1))
    # never below what one cause alone gives: estimated variances can be negative
    total = max(of_seeds + of_objects - of_rest, of_seeds, of_objects)
    freedom = [seeds - 1, objects - 1, (seeds - 1) * (objects - 1)]
    terms = [square**2 / free for square, free in zip((of_seeds, of_objects, of_rest), freedom, strict=True)]
    degrees = max(1.0, total**2 / sum(terms)) if sum(terms) else objects - 1
    return _interval(mean, total / (seeds * objects), degrees)


def over_views(values: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Means over the views of each object, which are no independent networks.

    Args:
        values: (..., N), the views of an object one after another.
        views: (O,) how many of the N networks each object has, >= 1.

    Returns:
        (..., O).

    >>> over_views(np.array([1.0, 0.0, 1.0]), np.array([2, 1]))
    array([0.5, 1. ])
    """
    first = np.cumsum(views) - views
    return np.asarray(np.add.reduceat(values, first, axis=-1) / views)


def _interval(mean: float, variance: float, degrees: float) -> Difference:
    half = float(scipy.stats.t.ppf(0.5 + LEVEL / 2, degrees)) * variance**0.5
    return Difference(mean, mean - half, mean + half)
