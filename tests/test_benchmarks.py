"""Benchmarks are not run by the tests, and import from each other and from the package: that must not go stale."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def test_every_benchmark_finds_what_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    try:
        for name in NAMES:
            assert importlib.import_module(name).__file__ == str(FOLDER / f"{name}.py")
    finally:
        for name in NAMES:
            sys.modules.pop(name, None)
