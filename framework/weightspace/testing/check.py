"""Rules of a contract as checks that name what is broken, in the spirit of scikit-learn's estimator checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from weightspace.batch import WeightBatch

#: Largest difference in float64 of what is said to be exact.
EXACT = 1e-9

#: A function of the subject and a batch of networks, whose docstring states the rule.
Rule = Callable[[Any, WeightBatch], None]


@dataclass(frozen=True)
class Check:
    """One rule, for one subject. A call raises AssertionError, with the rule and numbers, where it is broken.

    Attributes:
        subject: what is checked.
        subject_name: how reports call it.
        rule: the rule.
        batches: gives the networks for which the subject is valid.
    """

    subject: Any
    subject_name: str
    rule: Rule
    batches: Callable[[], Iterable[WeightBatch]]

    @property
    def name(self) -> str:
        """Name of the subject and the rule, for test reports."""
        return f"{self.subject_name}-{self.rule.__name__}"

    def __call__(self) -> None:
        """Tries the rule on all kinds of networks for which the subject is valid."""
        for batch in self.batches():
            text = (self.rule.__doc__ or "").strip()
            where = f"{self.subject_name}: broken rule {self.rule.__name__} ({text}) on networks {batch.spec}"
            try:
                self.rule(self.subject, batch)
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}") from None
            except Exception as error:
                raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error


def run_checks(checks: Iterable[Callable[[], None]]) -> None:
    """Raises AssertionError with all rules that are broken."""
    failures = []
    for check in checks:
        try:
            check()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)
