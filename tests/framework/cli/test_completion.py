"""What a shell gets that asks for completions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import argcomplete  # noqa: F401 - in the extra "test"; without it nothing is completed
import pytest
from warm import WarmCommand


def by_the_console_script() -> None:
    script = str(Path(sys.executable).with_name("weightspace"))
    done = subprocess.run([script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def by_a_warm_process() -> None:
    with WarmCommand() as process:
        out, err = process.communicate()
        assert (process.returncode, out) == (0, ""), err


@pytest.fixture
def completions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Asks as argcomplete's function of the shell does, with the cursor at the end of a line."""
    monkeypatch.chdir(tmp_path)

    def ask(line: str, run: Callable[[], None] = by_a_warm_process) -> list[str]:
        out = tmp_path / "completions"
        asked = {"": "1", "_STDOUT_FILENAME": str(out), "_IFS": "\n", "_SHELL": "bash", "_SUPPRESS_SPACE": "1"}
        for name, value in asked.items():
            monkeypatch.setenv(f"_ARGCOMPLETE{name}", value)
        for name, value in {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}.items():
            monkeypatch.setenv(name, value)
        run()
        return [word.strip() for word in out.read_text().split("\n")]

    return ask


def test_commands(completions) -> None:
    commands = ["fit", "validate", "test", "predict", "zoo", "augmentations", "plugin", "report", "embed"]
    assert set(commands) <= set(completions("weightspace ", by_the_console_script))
    assert completions("weightspace pl", by_the_console_script) == ["plugin"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("weightspace zoo ver", ["verify"]),
        ("weightspace zoo fit --eval", ["--eval_views"]),
        ("weightspace augmentations sh", ["show"]),
        ("weightspace plugin new my-waves --kind so", ["source"]),
        ("weightspace report --cur", ["--curves"]),
        ("weightspace fit --trainer.max_e", ["--trainer.max_epochs"]),
        ("weightspace test -c no", ["notes.yaml"]),
    ],
)
def test_what_follows_a_command(completions, line: str, expected: list[str]) -> None:
    Path("notes.yaml").touch()
    assert completions(line) == expected
