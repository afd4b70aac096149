"""What long jobs show: a moving bar where somebody looks, lines in a log, nothing elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from weightspace import progress
from weightspace.progress import Display
from weightspace.text import PlainConsole


def shown(show: bool | None, count: int = 1000, begin: int = 0, **options: bool) -> str:
    """What a job of 1,000 items shows, which begins with some that are there already."""
    console = PlainConsole(file=io.StringIO(), width=120, **options)
    display = Display(show, console)
    display.say("first")
    with display.bar("fitting") as report:
        for done in range(begin, count + 1):
            report(done, 1000, "3 left out")
    return console.file.getvalue()


def test_nothing_where_nobody_looks() -> None:
    assert shown(None) == shown(False) == shown(False, force_terminal=True) == ""


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_log_gets_few_lines(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", seconds)
    first, *lines = shown(True).splitlines()
    assert first == "first"
    assert len(lines) == (1 if seconds else 100)
    for line in lines[:-1]:
        assert re.fullmatch(r"\d+0/1000 networks, \d+ networks/s, 0:00:0\d left, 3 left out", line)
    assert re.fullmatch(r"1000/1000 networks, \d+ networks/s, 3 left out", lines[-1])
    *_, last = shown(True, count=700, begin=600).splitlines()
    assert last.startswith("700/1000 networks, "), "the last state of a job that ended before its end"
    assert shown(True, begin=1000).splitlines()[1:] == ["1000/1000 networks, 3 left out"], "no rate of what was there"


def test_a_terminal_gets_a_bar_also_where_nobody_asked() -> None:
    moving = shown(None, force_terminal=True)
    assert "fitting" in moving
    assert "1000/1000" in moving
    assert "━" in moving


def test_what_was_left_out_is_listed_and_counted() -> None:
    console = PlainConsole(file=io.StringIO(), width=200)
    Display(True, console).list_left_out([(f"{number}.\nppm", f"damaged: {number}") for number in range(25)])
    *lines, last = console.file.getvalue().splitlines()
    assert lines[0] == r"left out 0.\nppm: damaged: 0"
    assert len(lines) == progress.LISTED
    assert last == "... 25 in all, listed in zoo.json: {'damaged': 25}"
