"""The commands ``weightspace zoo fit|import|export|align|info|verify|repair|show``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser, key_values
from weightspace.cli.zoo_table import zoo_table
from weightspace.errors import ConfigError
from weightspace.fitting import RECIPES, fit_zoo, load_recipe
from weightspace.fitting.origin import check_origin, describe_arguments, source_of
from weightspace.fitting.repair import repair_zoo
from weightspace.fitting.verify import verify
from weightspace.importing import export_zoo, import_zoo
from weightspace.zoo import Zoo, align_zoo

console = make_console()


def zoo_cli(arguments: list[str]) -> None:
    """Runs one ``zoo`` command with the given arguments."""
    parser = Parser(prog="weightspace zoo", description="Sets of fitted networks.")
    subcommands = parser.add_subcommands()
    for name, (parse, _) in COMMANDS.items():
        subparser = parse()
        subcommands.add_subcommand(name, subparser, help=subparser.description)
    config = parser.parse_args(arguments)
    COMMANDS[config.subcommand][1](**config[config.subcommand].as_dict())


def _parser(function: Callable[..., Any], *otherwise: str) -> Parser:
    """Makes a parser whose options are the arguments of a function, except those in ``otherwise``."""
    parser = Parser(description=(function.__doc__ or "").split("\n", 1)[0])
    skip: Any = set(otherwise)
    parser.add_function_arguments(function, skip=skip, as_group=False)
    return parser


def _of_zoo(function: Callable[..., Any]) -> Callable[[], Parser]:
    """Makes the parser of a command whose positional argument is a zoo."""

    def parse() -> Parser:
        parser = _parser(function, "zoo", "progress")
        parser.add_argument("zoo", type=str, help="folder of the zoo")
        return parser

    return parse


def _fit_parser() -> Parser:
    parser = _parser(fit_zoo, "source", "recipe", "source_arguments", "progress")
    add = parser.add_argument
    add("--source", type=str, required=True, help="name of the source, for instance digits, or its dotted path")
    add("--recipe", type=str, default="dwsnets", help=f"{', '.join(RECIPES)}, or a YAML file with a recipe's fields")
    add("--set", nargs="+", action="extend", metavar="FIELD=VALUE", help="changes of recipe fields: --set steps=300")
    add(
        "--source_set",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="arguments of the source: --source_set size=32",
    )
    return parser


def fit(recipe: str, set: list[str] | None, source_set: list[str] | None, **options: Any) -> None:
    """Fits a zoo with the options of the command line."""
    changes, arguments = key_values(set or []), key_values(source_set or [], "source_set")
    fit_zoo(recipe=load_recipe(recipe, changes), source_arguments=arguments, progress=True, **options)


def _import_parser() -> Parser:
    parser = _parser(import_zoo, "source", "where", "progress")
    parser.add_argument("source", type=str, help="folder (or .npz file) of the networks")
    parser.add_argument(
        "--where",
        nargs="+",
        action="extend",
        metavar="COLUMN=VALUE",
        help="import only networks whose columns have these values: --where activation=relu",
    )
    return parser


def import_networks(where: list[str] | None, **options: Any) -> None:
    """Imports networks with the options of the command line."""
    import_zoo(where=conditions(where or []), progress=True, **options)


def conditions(items: list[str]) -> dict[str, str]:
    """Parses ``COLUMN=VALUE`` into values by column.

    Raises:
        ConfigError: an item has another form, or a column has two values.
    """
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise ConfigError(f"where: expected items like activation=relu, found {item!r}")
        if found.setdefault(name, value) != value:
            raise ConfigError(f"where: {name} cannot be both {found[name]} and {value}")
    return found


def _align_parser() -> Parser:
    parser = _parser(align_zoo, "zoo", "to", "progress")
    parser.add_argument("zoo", type=str, help="folder of the zoo")
    parser.add_argument(
        "--to",
        type=str,
        default="mean",
        help="the reference: mean (of the training networks), untrained, OBJECT or OBJECT/VIEW of the zoo, or "
        "ZOO:OBJECT/VIEW or ZOO:ALIGNMENT of another zoo",
    )
    return parser


def info(zoo: str, out: str | None = None) -> None:
    """Describes the contents of a zoo: counts, quality, weights per layer, nearest pairs.

    Args:
        zoo: folder of the zoo.
        out: a PNG file to draw them.
    """
    opened = Zoo(zoo)
    console.print(zoo_table(opened), soft_wrap=False)
    if out is not None:
        from weightspace.figures.images import save_figure  # here because matplotlib is slow to import
        from weightspace.figures.zoo import overview_figure

        save_figure(overview_figure(opened), out)
        console.print(f"picture at {out}")


def check(zoo: str, sample: int = 64, path: str | None = None, source: str | None = None) -> None:
    """Verifies checksums, shapes and finiteness of all networks, stored alignments, and the PSNR of some.

    Args:
        zoo: folder of the zoo.
        sample: number of networks to evaluate against the source; 0 for none.
        path: folder of the source's files, if they have moved.
        source: dotted path of the source, required if the zoo names one, since it is not imported otherwise.
    """
    for line in verify(Zoo(zoo, check=False), sample, path, source):
        console.print(line)


def repair(**options: Any) -> None:
    """Repairs a zoo and prints the steps."""
    for line in repair_zoo(**options):
        console.print(line)


def show(
    zoo: str, out: str, count: int = 12, split: str = "train", path: str | None = None, source: str | None = None
) -> None:
    """Draws original objects beside the decoded networks (images, or shaded solids).

    Args:
        zoo: folder of the zoo.
        out: the PNG file to write.
        count: number of networks.
        split: train, val or test.
        path: folder of the source's files, if they have moved.
        source: dotted path of the source, required if the zoo names one, since it is not imported otherwise.
    """
    from weightspace.figures.images import save_figure  # here because matplotlib is slow to import
    from weightspace.figures.zoo import zoo_figure

    opened = Zoo(zoo)
    check_origin(opened.path, opened.header, path, source)
    objects = None
    if "source" in opened.header.provenance:
        for line in describe_arguments(opened.header, path):
            console.print(line)
        objects = source_of(opened.path, opened.header, path, source)
    save_figure(zoo_figure(opened, objects, count, split), out)
    console.print(f"picture at {out}")


#: name -> (function that makes the parser, function that is called with the options)
COMMANDS: dict[str, tuple[Callable[[], Parser], Callable[..., object]]] = {
    "fit": (_fit_parser, fit),
    "import": (_import_parser, import_networks),
    "export": (_of_zoo(export_zoo), partial(export_zoo, progress=True)),
    "align": (_align_parser, partial(align_zoo, progress=True)),
    "info": (_of_zoo(info), info),
    "verify": (_of_zoo(check), check),
    "repair": (_of_zoo(repair_zoo), repair),
    "show": (_of_zoo(show), show),
}
