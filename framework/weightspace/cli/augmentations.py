"""``weightspace augmentations [show NAME]``: what is installed."""

from __future__ import annotations

import inspect

from rich.table import Table

from weightspace.augment import Augmentation, find_augmentation, list_augmentations
from weightspace.augment.registry import GROUP, parameters_of
from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.entry_points import distribution, plugins
from weightspace.errors import AugmentationError

console = make_console()


def augmentations_cli(arguments: list[str]) -> None:
    """Parses and runs the command."""
    if not arguments:
        console.print(_table())
        return
    parser = Parser(prog="weightspace augmentations", description="The installed augmentations.")
    subcommands = parser.add_subcommands()
    show = Parser(description="Tells all about one augmentation.")
    show.add_argument("name", type=str, help="entry-point name")
    subcommands.add_subcommand("show", show, help=show.description)
    _show(parser.parse_args(arguments).show.name)


def _table() -> Table:
    table = Table("name", "keeps", "valid for", "labels", "parameters", "distribution")
    for name, found in list_augmentations().items():
        owner = " and ".join(distribution(point) for point in plugins(GROUP)[name])
        if isinstance(found, AugmentationError):
            table.add_row(name, f"[red]{found}[/]", "", "", "", owner)
            continue
        valid = ", ".join(sorted(found.activations))
        table.add_row(name, _keeps(found), valid, "mixed" if found.uses_labels else "", parameters_of(found), owner)
    return table


def _show(name: str) -> None:
    cls = find_augmentation(name)
    console.print(f"[bold]{name}[/] ({distribution(plugins(GROUP)[name][0])}, {cls.__module__}.{cls.__qualname__})")
    console.print(inspect.cleandoc(cls.__doc__ or "(no description)"), markup=False)
    console.print(f"keeps: {_keeps(cls) or 'nothing exactly'}; valid for: {', '.join(sorted(cls.activations))}")
    console.print(f"in YAML: - {name}: {{{parameters_of(cls).replace('=', ': ')}}}", markup=False)


def _keeps(cls: type[Augmentation]) -> str:
    return {"function": "the function", "input": "the function of the moved input", None: ""}[cls.exact]
