"""Columns of a study whose names are amounts, as 500 and 2,000 training objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from weightspace.errors import ConfigError
from weightspace.runs.metric_text import less_is_better

_AMOUNT = re.compile(r"(\d+|\d{1,3}(,\d{3})+)(\.\d+)?")


def amount(name: str) -> float:
    """The number that the name of a column is; commas separate thousands.

    Args:
        name: digits, as "2000", "2,000" or "0.25".

    Raises:
        ConfigError: it is no number above 0.

    >>> amount("2,000"), amount("0.25")
    (2000.0, 0.25)
    """
    found = float(name.replace(",", "")) if _AMOUNT.fullmatch(name) else 0.0
    if not found:
        raise ConfigError(f"expected a number above 0, like 500 or 2,000, found {name!r:.60}")
    return found


def check_amounts(where: str, columns: Iterable[str], metrics: Sequence[str]) -> None:
    """Checks that columns are amounts, of which the baseline's curve can be drawn.

    Args:
        where: begins the message.
        columns: names of all columns.
        metrics: of the study; the first one is compared.

    Raises:
        ConfigError: a name is no amount, two are the same amount, there are fewer than two, or the metric is one of
            which less is better.
    """
    names, known = list(columns), dict[float, str]()
    if len(names) < 2:
        raise ConfigError(f"{where}: amounts: a curve needs two columns or more, found {len(names)}")
    for name in names:
        try:
            found = amount(name)
        except ConfigError as error:
            raise ConfigError(f"{where}: amounts: the names of columns are the amounts: {error}") from error
        if found in known:
            raise ConfigError(f"{where}: amounts: the columns {known[found]!r} and {name!r} are the same amount")
        known[found] = name
    if less_is_better(metrics[0]):
        raise ConfigError(
            f"{where}: amounts: of {metrics[0]}, less is better: name a metric first of which more is, as test/accuracy"
        )
