from __future__ import annotations

import unicodedata

import pytest
from rich.table import Table
from weightspace.text import PlainConsole, cell, shown, shown_lines

HOSTILE = ["\x1b[2J", "\x07", "a\nb", "a\rb", "\u202eexe", "\u200b", "\ufeff", "\udc80", "\x9b31m", "\u2028", "\x00"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_printable_is_made_visible(text: str) -> None:
    for found in (shown(text), shown_lines(text).replace("\n", ""), cell(text).removeprefix("'")):
        assert not [c for c in found if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
        found.encode()
    assert shown(text) != text


@pytest.mark.parametrize("text", ["cat", "Größe 3", "猫 犬", "naïve", "[1, 2]", "a\\b", "🙂", ""])
def test_other_text_stays(text: str) -> None:
    assert shown(text) == cell(text) == text
    assert shown_lines(f"{text}\n{text}") == f"{text}\n{text}"


def test_very_long_text_loses_its_middle() -> None:
    found = shown("a" + "b" * 10_000_000 + "c")
    assert len(found) < 1_100
    assert (found[0], found[-1]) == ("a", "c")


@pytest.mark.parametrize(
    "text", ["[/red]", "[bold]", "\\", "\\\\", "\\[x]", "a\\\\\\", "[x\\", "[red", ":smile:", "[1]"]
)
def test_text_on_a_console_is_text(text: str) -> None:
    console = PlainConsole(width=200)
    with console.capture() as captured:
        console.print(text, end="")
        console.print(Table(text, box=None, pad_edge=False, title=text), end="")
    assert captured.get().count(text) == 3


@pytest.mark.parametrize("text", HOSTILE)
def test_a_console_writes_no_codes(text: str) -> None:
    console = PlainConsole(width=200, force_terminal=False)
    with console.capture() as captured:
        console.print(text)
        console.print(Table(text, title=text))
    assert not [c for c in captured.get() if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-cmd|' /C calc'!A0", "\uff0d1"]
)
def test_no_text_is_a_formula(text: str) -> None:
    assert cell(text).startswith("'")


@pytest.mark.parametrize("value", [-1, -0.5, float("-inf"), "-1", "+0.5", "-1e-05", "-inf", None])
def test_numbers_stay_numbers(value: object) -> None:
    assert cell(value) is value
