"""One console for all commands."""

from __future__ import annotations

from weightspace.text import PlainConsole


def make_console() -> PlainConsole:
    """For standard output. Pipes and files get wide lines, so that tables stay whole."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=180)
