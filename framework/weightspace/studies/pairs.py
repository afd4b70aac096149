"""Pairs of runs: which seeds and test objects two experiments share, and how they differ in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weightspace.studies.interval import Difference, difference_by_object, difference_by_seed, over_views
from weightspace.studies.record import Result

#: Metrics that count the right classes of test networks, for which single objects are pairs, too.
COUNTED = "test/accuracy"


def paired_difference(variant: Mapping[Any, Result], baseline: Mapping[Any, Result], metric: str) -> Difference | None:
    """Difference of a metric over the seeds that both have, see ``interval``; None: there are none.

    Args:
        variant, baseline: results by seed.
        metric: key of the metric.
    """
    found = paired_values(variant, baseline, metric)
    return None if found is None else difference_of(found)


def difference_of(values: np.ndarray) -> Difference:
    """The mean of what ``paired_values`` returns, with its interval; without one if all pairs are equal.

    >>> difference_of(np.zeros((3, 1000)))
    Difference(mean=0.0, low=None, high=None, equal=True)
    """
    if not values.any():
        return Difference(0.0, equal=True)
    if float(np.ptp(values)) <= 1e-12:  # as of two seeds that gain one right answer each
        return Difference(float(values.mean()))
    return difference_by_object(values) if values.ndim == 2 else difference_by_seed(values)


def paired_values(variant: Mapping[Any, Result], baseline: Mapping[Any, Result], metric: str) -> np.ndarray | None:
    """Differences over the S seeds that both have: (S, O) of each test object, or else (S,); None: there are none.

    Args:
        variant, baseline: results by seed.
        metric: key of the metric.
    """
    pairs = [(variant[seed], baseline[seed]) for seed in sorted(variant.keys() & baseline.keys())]
    pairs = [(one, other) for one, other in pairs if metric in one.metrics and metric in other.metrics]
    if not pairs:
        return None
    values = values_of([result for pair in pairs for result in pair], metric)
    return values[::2] - values[1::2]


def values_of(results: Sequence[Result], metric: str) -> np.ndarray:
    """What runs are compared by: (R, O) how often each is right about each test object, or else (R,) their metrics.

    Args:
        results: of R runs, which have the metric.
        metric: its key; for ``test/accuracy`` of the same test networks of at least two objects, answers are known.
    """
    right = [found for result in results if (found := result.right()) is not None]
    same = len({result.objects for result in results}) == 1
    # earlier versions have not recorded the views of the same networks
    views = max(results, key=lambda result: len(result.views)).views_of_objects()
    if metric == COUNTED and same and len(right) == len(results) and len(views) > 1:
        return over_views(np.array(right, float), views)
    return np.array([result.metrics[metric] for result in results])
