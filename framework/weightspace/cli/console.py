"""One console for all commands."""

from rich.console import Console


def make_console() -> Console:
    """For standard output. Pipes and files get wide lines, so that tables stay whole."""
    plain = Console(soft_wrap=True, highlight=False)
    return plain if plain.is_terminal else Console(soft_wrap=True, highlight=False, width=180)
