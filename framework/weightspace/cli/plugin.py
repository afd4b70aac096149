"""The command ``weightspace plugin new NAME``, which creates a plugin from a template."""

from __future__ import annotations

from pathlib import Path

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.testing.scaffold import KINDS, write_plugin

console = make_console()


def plugin_cli(arguments: list[str]) -> None:
    """Runs ``weightspace plugin`` with the given arguments."""
    parser = Parser(prog="weightspace plugin", description="Creates plugins.")
    subcommands = parser.add_subcommands()
    new = Parser(description="Writes an installable distribution with one working class, its tests and an experiment.")
    new.add_argument("name", type=str, help="lower-case words joined by hyphens: my-noise")
    new.add_argument("--kind", choices=list(KINDS), default=next(iter(KINDS)), help="kind of the class")
    new.add_argument("--out", type=str, default=None, help="folder to create (default: the plugin's name)")
    subcommands.add_subcommand("new", new, help=new.description)
    options = parser.parse_args(arguments).new
    _new(options.name, options.kind, Path(options.out or options.name))


def _new(name: str, kind: str, out: Path) -> None:
    for path in write_plugin(name, out, kind):
        console.print(f"wrote {path}")
    console.print(
        f"next: pip install -e {out}, then pytest {out} to check it against the contract; {out / 'README.md'} has "
        "an experiment with it"
    )
