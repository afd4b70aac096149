"""The command ``weightspace augmentations [show NAME]``, which lists the installed augmentations."""

from __future__ import annotations

from weightspace.cli.parser import Parser
from weightspace.errors import ConfigError


def augmentations_cli(arguments: list[str]) -> None:
    """Runs ``weightspace augmentations`` with the given arguments."""
    options = _parser().parse_args(arguments).show if arguments else None
    if options is not None and (options.zoo is None) != (options.out is None):
        raise ConfigError("a picture needs both --zoo (whose networks) and --out (the file to write)")
    # imported here: augmentations need Lightning, which takes seconds to import and is not needed for --help
    from weightspace.cli.augmentation_page import print_list, print_page

    if options is None:
        print_list()
    else:
        print_page(options)


def _parser() -> Parser:
    parser = Parser(prog="weightspace augmentations", description="The installed augmentations.")
    subcommands = parser.add_subcommands()
    show = Parser(description="Describes one augmentation.")
    show.add_argument("name", type=str, help="entry-point name")
    show.add_argument("--zoo", type=str, help="draw its effect on networks of this zoo")
    show.add_argument("--out", type=str, help="the PNG file to write")
    show.add_argument(
        "--set", nargs="+", action="extend", metavar="PARAMETER=VALUE", help="its parameters, for instance alpha=0.4"
    )
    show.add_argument("--count", type=int, default=8, help="number of networks to draw")
    show.add_argument("--draws", type=int, default=3, help="number of random draws of the augmentation")
    show.add_argument(
        "--side", type=int, help="pixels per side of an image (28), or grid points per side of a solid (48)"
    )
    show.add_argument("--seed", type=int, default=0, help="seed of the draws")
    subcommands.add_subcommand("show", show, help=show.description)
    return parser
