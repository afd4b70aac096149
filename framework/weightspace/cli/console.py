"""One console for all commands."""

from __future__ import annotations

from collections import Counter

from rich.text import Text

from weightspace.text import PlainConsole, shown

#: How many things that were left out are listed on the screen.
SHOWN = 20


def make_console() -> PlainConsole:
    """For standard output. Pipes and files get wide lines, so that tables stay whole."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=180)


def tell_left(console: PlainConsole, left: list[tuple[str, str]]) -> None:
    """Lists what was left out: (name, reason); of many, the first ones and how often there was each reason."""
    for name, reason in left[:SHOWN]:
        console.print(Text.assemble(("left out", "yellow"), f" {shown(name)}: {shown(reason)}"))
    if len(left) > SHOWN:
        reasons = Counter(reason.split(":")[0] for _, reason in left).most_common()
        console.print(f"... {len(left)} in all, listed in zoo.json: {dict(reasons)}")
