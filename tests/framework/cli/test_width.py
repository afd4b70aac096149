"""Tables in a terminal of 80 columns: nothing is cut, names stay whole."""

from __future__ import annotations

import pytest
from weightspace.augment import list_augmentations
from weightspace.cli import augmentation_page, zoo
from weightspace.cli.main import main
from weightspace.text import PlainConsole


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (augmentation_page, zoo):
        monkeypatch.setattr(module, "console", PlainConsole(width=80))


def test_augmentations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["augmentations"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert all(any(f" {name} " in line for line in out.splitlines()) for name in list_augmentations())
    assert "\u2026" not in out, "nothing is cut"


def test_zoos(digits_zoo: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "info", str(digits_zoo)]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "\u2026" not in out
