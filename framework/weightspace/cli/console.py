"""One console for all commands."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape

#: How many things that were left out are listed on the screen.
SHOWN = 20


def make_console() -> Console:
    """For standard output. Pipes and files get wide lines, so that tables stay whole."""
    plain = Console(soft_wrap=True, highlight=False)
    return plain if plain.is_terminal else Console(soft_wrap=True, highlight=False, width=180)


def tell_left(console: Console, left: list[tuple[str, str]]) -> None:
    """Lists what was left out: (name, reason); of many, the first ones and how often there was each reason."""
    for name, reason in left[:SHOWN]:
        console.print(f"[yellow]left out[/] {escape(name)}: {escape(reason)}")
    if len(left) > SHOWN:
        reasons = Counter(reason.split(":")[0] for _, reason in left).most_common()
        console.print(f"... {len(left)} in all, listed in zoo.json: {escape(str(dict(reasons)))}")
