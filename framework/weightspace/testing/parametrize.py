"""One pytest test for each rule of a contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightspace.augment import Augmentation
from weightspace.sources import Source
from weightspace.testing.augmentation import augmentation_checks
from weightspace.testing.backbone import backbone_checks
from weightspace.testing.check import Check
from weightspace.testing.source import source_checks


def parametrize_checks(*subjects: Any) -> Callable[[Any], Any]:
    """A decorator that makes one pytest test for each rule and subject, as scikit-learn's parametrize_with_checks does.

        @parametrize_checks(MyNoise, MyNoise(scale=1.0), MyBackbone, *source_checks(lambda: my_source(size=32)))
        def test_contract(check):
            check()

    Needs pytest.

    Args:
        subjects: augmentations or their classes; classes of backbones, or functions (spec, out_dim) -> backbone;
            classes of sources; or checks, which are taken as they are.
    """
    import pytest

    checks = [check for subject in subjects for check in _checks(subject)]
    return pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in checks])


def _checks(subject: Any) -> list[Check]:
    kind = subject if isinstance(subject, type) else type(subject)
    if issubclass(kind, Check):
        return [subject]
    if issubclass(kind, Augmentation) or not callable(subject):
        return augmentation_checks(subject)
    return source_checks(subject) if issubclass(kind, Source) else backbone_checks(subject)
