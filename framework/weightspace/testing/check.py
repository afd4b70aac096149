"""Rules of a contract as checks that name what is broken, in the spirit of scikit-learn's estimator checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest import SkipTest

from weightspace.batch import WeightBatch

#: Largest difference in float64 of what is said to be exact.
EXACT = 1e-9

#: A function of the subject and a batch of networks, whose docstring states the rule.
Rule = Callable[[Any, WeightBatch], None]


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
class Check:
    """One rule, for one subject. A call raises AssertionError, with the rule and numbers, where it is broken.

    Where a rule is broken that this one presupposes, it is not tried: it would only fail for the same reason.

    Attributes:
        subject: what is checked.
        subject_name: how reports call it.
        rule: the rule.
        batches: gives the networks for which the subject is valid.
        premises: checks of the rules that this one presupposes.
    """

    subject: Any
    subject_name: str
    rule: Rule
    batches: Callable[[], Iterable[WeightBatch]]
    premises: tuple[Check, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of the subject and the rule, for test reports."""
        return f"{self.subject_name}-{self.rule.__name__}"

    def __call__(self) -> None:
        """Tries the rule on all kinds of networks for which the subject is valid.

        Raises:
            AssertionError: it is broken.
            NotTriedError: one that it presupposes is broken.
        """
        for premise in self.premises:
            if premise.failure is not None:
                raise NotTriedError(self.rule.__name__, premise.rule.__name__)
        if self.failure is not None:
            raise self.failure

    @cached_property
    def failure(self) -> AssertionError | None:
        """How the rule is broken, tried once; None: it is kept."""
        try:
            self._try()
        except AssertionError as failure:
            return failure
        return None

    def _try(self) -> None:
        for batch in self.batches():
            text = (self.rule.__doc__ or "").strip()
            where = f"{self.subject_name}: broken rule {self.rule.__name__} ({text}) on networks {batch.spec}"
            try:
                self.rule(self.subject, batch)
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}") from None
            except Exception as error:
                raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error


def contract(
    subject: Any,
    subject_name: str,
    basic: Sequence[Rule],
    others: Sequence[Rule],
    batches: Callable[[], Iterable[WeightBatch]],
) -> list[Check]:
    """One check for each rule.

    Args:
        subject: what is checked.
        subject_name: how reports call it.
        basic: rules that each presuppose the ones before them.
        others: rules that presuppose all the basic ones.
        batches: gives the networks for which the subject is valid.
    """
    foundations: list[Check] = []
    for rule in basic:
        foundations.append(Check(subject, subject_name, rule, batches, tuple(foundations)))
    return [*foundations, *(Check(subject, subject_name, rule, batches, tuple(foundations)) for rule in others)]


def run_checks(checks: Iterable[Callable[[], None]]) -> None:
    """Raises AssertionError with all rules that are broken, and in a last line those that were not tried for it."""
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
