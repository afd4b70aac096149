"""Does an augmentation keep its contract? In the spirit of scikit-learn's estimator checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import ACTIVATION_SYMMETRIES, NetworkSpec
from weightspace.testing.rules import RULES, Rule

#: Two and three inputs, two to five layers, another width in every layer.
WIDTHS = ((2, 6, 1), (3, 7, 5, 2), (2, 5, 3, 4, 1), (3, 4, 6, 3, 5, 2))
NETWORKS, CLASSES = 24, 3


@dataclass(frozen=True)
class Check:
    """One rule, for one augmentation. A call raises AssertionError, with the rule and numbers, where it is broken."""

    augmentation: Augmentation
    rule: Rule

    @property
    def name(self) -> str:
        """Name of the augmentation and the rule, for test reports."""
        return f"{self.augmentation.name}-{self.rule.__name__}"

    def __call__(self) -> None:
        """Tries the rule on all kinds of networks for which the augmentation is valid."""
        for batch in batches(self.augmentation):
            text = (self.rule.__doc__ or "").strip()
            where = f"{self.augmentation.name}: broken rule {self.rule.__name__} ({text}) on networks {batch.spec}"
            try:
                self.rule(self.augmentation, batch)
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}") from None
            except Exception as error:
                raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error


def augmentation_checks(subject: Augmentation | type[Augmentation]) -> list[Check]:
    """One check for each rule of the contract.

    Args:
        subject: an instance, or a class whose parameters all have defaults.

    Raises:
        AssertionError: the subject is neither, or is not valid for any network.
    """
    augmentation = _instance(subject)
    assert any(True for _ in batches(augmentation)), (
        f"{augmentation.name}: its check() accepts no network: tried {', '.join(ACTIVATION_SYMMETRIES)} with widths "
        f"{', '.join(str(w) for w in WIDTHS)}"
    )
    return [Check(augmentation, rule) for rule in RULES]


def check_augmentation(subject: Augmentation | type[Augmentation]) -> None:
    """Checks every rule of the contract.

    Args:
        subject: an instance, or a class whose parameters all have defaults.

    Raises:
        AssertionError: lists all rules that are broken, with numbers.

    >>> from weightspace_plugins.noise import GaussianNoise
    >>> check_augmentation(GaussianNoise(scale=0.3))
    """
    failures = []
    for check in augmentation_checks(subject):
        try:
            check()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


def parametrize_checks(*subjects: Augmentation | type[Augmentation]) -> Callable[[Any], Any]:
    """A decorator that makes one pytest test for each rule and subject, as scikit-learn's parametrize_with_checks does.

        @parametrize_checks(MyNoise, MyNoise(scale=1.0))
        def test_contract(check):
            check()

    Needs pytest.
    """
    import pytest

    checks = [check for subject in subjects for check in augmentation_checks(subject)]
    return pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in checks])


def batches(augmentation: Augmentation) -> Iterator[WeightBatch]:
    """Random float64 networks with classes, of every kind that the augmentation accepts."""
    for activation in ACTIVATION_SYMMETRIES:
        for widths in WIDTHS:
            omega = tuple(6.0 + layer for layer in range(len(widths) - 2)) if activation == "sine" else 1.0
            spec = NetworkSpec(widths, activation, omega, 0.5)
            try:
                augmentation.check(spec, "class")
            except AugmentationError:
                continue
            except Exception as error:
                raise AssertionError(f"{augmentation.name}: check() raised {type(error).__name__}: {error}") from error
            generator = torch.Generator().manual_seed(len(widths))
            params = torch.randn(NETWORKS, spec.num_params, generator=generator, dtype=torch.float64) / 2
            numbers = torch.arange(NETWORKS)
            yield WeightBatch(params, spec, numbers % CLASSES, numbers + 100, numbers % 2, CLASSES, index=7)


def _instance(subject: Augmentation | type[Augmentation]) -> Augmentation:
    if isinstance(subject, Augmentation):
        return subject
    if not (isinstance(subject, type) and issubclass(subject, Augmentation)):
        raise AssertionError(f"expected an Augmentation, or a class derived from it, found {subject!r}")
    parameters = inspect.signature(subject).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert not needed, f"{subject.__name__} needs the parameters {', '.join(needed)}: pass an instance"
    try:
        return subject()
    except Exception as error:
        raise AssertionError(f"{subject.__name__}() raised {type(error).__name__}: {error}") from error
