"""Checking the contract of a source."""

from __future__ import annotations

from collections.abc import Callable

from weightspace.sources import Source
from weightspace.testing.check import Case, Check, contract, name_of, run_checks
from weightspace.testing.source_rules import BASIC, OTHERS


def source_checks(load: Callable[[], Source]) -> list[Check]:
    """One check for each rule of the contract.

    Args:
        load: a class or function that makes the source without arguments, for instance
            ``lambda: my_source(path="...")``.
    """
    assert callable(load), f"expected a class or function that makes a source without arguments, found {load!r:.100}"
    return contract(name_of(load, "the source"), BASIC, OTHERS, lambda: [Case((load,))])


def check_source(load: Callable[[], Source]) -> None:
    """Checks every rule of the contract.

    Args:
        load: a class or function that makes the source without arguments.

    Raises:
        AssertionError: lists all rules that are broken, with numbers.

    >>> from weightspace.sources import load_source
    >>> check_source(lambda: load_source("digits"))
    """
    run_checks(source_checks(load))
