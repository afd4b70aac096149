"""The console of all commands."""

from __future__ import annotations

from weightspace.text import PlainConsole


def make_console() -> PlainConsole:
    """Makes a console for standard output; lines in pipes and files are wide, so that tables are not folded."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=180)
