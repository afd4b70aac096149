"""The command ``weightspace neighbours``, which finds and draws networks that are alike."""

from __future__ import annotations

from weightspace.cli.parser import Parser


def neighbours_cli(arguments: list[str]) -> None:
    """Runs ``weightspace neighbours`` with the given arguments."""
    options = _parser().parse_args(arguments)
    # imported here: --help needs neither torch nor the backbones, which take two seconds to import
    from weightspace.cli.neighbourhood import show

    show(options)


def _parser() -> Parser:
    about = "Finds the nearest networks by embedding, by weights after alignment and by function, and draws a map."
    parser = Parser(prog="weightspace neighbours", description=about)
    parser.add_argument("--zoo", type=str, required=True, help="folder of the zoo")
    parser.add_argument("--encoder", type=str, help="encoder.safetensors of a run, or the run's folder")
    parser.add_argument("--backbone", type=str, help="dotted path of its class, if it is not an installed entry point")
    parser.add_argument("--by", nargs="+", type=str, help="some of embedding, weights, function; default: all")
    parser.add_argument("--queries", type=int, default=8, help="networks whose neighbours are looked for")
    parser.add_argument("--split", type=str, default="test", help="their split, which the map shows, too")
    parser.add_argument("--among", type=str, default="train", help="split among which neighbours are looked for")
    parser.add_argument("--count", type=int, default=5, help="neighbours of each")
    parser.add_argument("--limit", type=int, default=2_000, help="most networks among which they are looked for")
    parser.add_argument("--group", type=str, default="auto", help="symmetries that alignment removes")
    parser.add_argument("--map", type=int, default=1_000, help="most networks on the map; 0: no map")
    parser.add_argument("--seed", type=int, default=0, help="seed of the map")
    parser.add_argument("--device", type=str, default="cpu", help="device on which to embed, for instance cuda")
    parser.add_argument("--out", type=str, default="neighbours", help="folder of the pictures and the table")
    return parser
