"""The digits of scikit-learn's package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from weightspace.errors import MissingExtraError
from weightspace.sources import digits as module
from weightspace.sources.digits import digits, read_digits


def test_they_are_those_that_scikit_learn_loads() -> None:
    source, expected = digits(), load_digits()
    assert np.array_equal(source.images[..., 0], expected.images.astype(np.uint8))
    assert np.array_equal(source.labels, expected.target)
    assert source.labels.dtype == np.int64
    assert source.class_names == tuple(map(str, expected.target_names))


def test_a_version_that_keeps_them_elsewhere_is_asked(tmp_path: Path) -> None:
    images, classes = read_digits(tmp_path / "digits.csv.gz")
    for found, expected in ((images, digits().images[..., 0]), (classes, digits().labels)):
        assert np.array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_without_scikit_learn(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"weightspace\[data\]"):
        digits()
