"""One pytest test for each rule of a contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightspace.augment import Augmentation
from weightspace.testing.augmentation import augmentation_checks
from weightspace.testing.backbone import backbone_checks


def parametrize_checks(*subjects: Any) -> Callable[[Any], Any]:
    """A decorator that makes one pytest test for each rule and subject, as scikit-learn's parametrize_with_checks does.

        @parametrize_checks(MyNoise, MyNoise(scale=1.0), MyBackbone)
        def test_contract(check):
            check()

    Needs pytest.

    Args:
        subjects: augmentations or their classes; classes of backbones, or functions (spec, out_dim) -> backbone.
    """
    import pytest

    checks = []
    for subject in subjects:
        kind = subject if isinstance(subject, type) else type(subject)
        if issubclass(kind, Augmentation) or not callable(subject):
            checks += augmentation_checks(subject)
        else:
            checks += backbone_checks(subject)
    return pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in checks])
