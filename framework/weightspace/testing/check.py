"""Contract rules as checks that report what is broken, in the spirit of scikit-learn's estimator checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest import SkipTest

#: Largest difference in float64 of what is said to be exact.
EXACT = 1e-9

#: A function of a case's arguments, whose docstring states the rule.
Rule = Callable[..., None]


class NotTriedError(SkipTest):
    """A rule that was not tried, because a basic one is broken: pytest and unittest report it as skipped.

    Attributes:
        rule: name of the rule that was not tried.
        basic: name of the rule that is broken.
    """

    def __init__(self, rule: str, basic: str) -> None:
        super().__init__(f"{rule} was not tried, because the basic rule {basic} is broken")
        self.rule, self.basic = rule, basic


@dataclass(frozen=True)
class Case:
    """Input on which a rule is tried.

    Attributes:
        arguments: of the rule: the subject, and for instance a batch of networks.
        where: description of the input in reports, for instance "on networks 2-6-1"; may be empty.
    """

    arguments: tuple[Any, ...]
    where: str = ""


@dataclass(frozen=True)
class Check:
    """One rule for one subject. A call raises AssertionError, with the rule and numbers, if the rule is broken.

    If a rule that this one presupposes is broken, it is not tried, since it would fail for the same reason.

    Attributes:
        subject_name: name of the subject in reports.
        rule: the rule.
        cases: gives what the rule is tried on.
        premises: checks of the rules that this one presupposes.
    """

    subject_name: str
    rule: Rule
    cases: Callable[[], Iterable[Case]]
    premises: tuple[Check, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of the subject and the rule, for test reports."""
        return f"{self.subject_name}-{self.rule.__name__}"

    def __call__(self) -> None:
        """Tries the rule on all cases.

        Raises:
            AssertionError: it is broken.
            NotTriedError: a rule that it presupposes is broken.
        """
        for premise in self.premises:
            if premise.failure is not None:
                raise NotTriedError(self.rule.__name__, premise.rule.__name__)
        if self.failure is not None:
            raise self.failure

    @cached_property
    def failure(self) -> AssertionError | None:
        """Tests the rule once; describes how it is broken, or returns None."""
        try:
            self._try()
        except AssertionError as failure:
            return failure
        return None

    def _try(self) -> None:
        text = f"{self.subject_name}: broken rule {self.rule.__name__} ({(self.rule.__doc__ or '').strip()})"
        for case in self.cases():
            where = f"{text} {case.where}".rstrip()
            try:
                self.rule(*case.arguments)
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}") from None
            except Exception as error:
                raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error


def contract(
    subject_name: str, basic: Sequence[Rule], others: Sequence[Rule], cases: Callable[[], Iterable[Case]]
) -> list[Check]:
    """One check for each rule.

    Args:
        subject_name: name of the subject in reports.
        basic: rules that each presuppose the ones before them.
        others: rules that presuppose all the basic ones.
        cases: gives what each rule is tried on.
    """
    foundations: list[Check] = []
    for rule in basic:
        foundations.append(Check(subject_name, rule, cases, tuple(foundations)))
    return [*foundations, *(Check(subject_name, rule, cases, tuple(foundations)) for rule in others)]


def name_of(make: Callable[..., Any], otherwise: str) -> str:
    """Name of a class or function; the default for a lambda."""
    name = str(getattr(make, "__name__", "<lambda>"))
    return otherwise if name == "<lambda>" else name


def run_checks(checks: Iterable[Callable[[], None]]) -> None:
    """Raises AssertionError that lists all broken rules, and in a last line the rules that were not tried."""
    failures, untried = [], []
    for check in checks:
        try:
            check()
        except NotTriedError as reason:
            untried.append(reason)
        except AssertionError as failure:
            failures.append(str(failure))
    if untried:
        names = ", ".join(reason.rule for reason in untried)
        failures.append(f"not tried, because {untried[0].basic} is broken: {names}")
    assert not failures, "\n".join(failures)
