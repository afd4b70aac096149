"""``weightspace embed``: a zoo's networks as vectors, for any other tool."""

from __future__ import annotations

from weightspace.cli.parser import Parser


def embed_cli(arguments: list[str]) -> None:
    """Parses and runs the command."""
    options = _parser().parse_args(arguments)
    # imported here: --help needs neither torch nor the backbones, which take two seconds
    from weightspace.cli.embedding import write

    write(options)


def _parser() -> Parser:
    parser = Parser(prog="weightspace embed", description="Writes a zoo's embeddings by a pretrained encoder.")
    parser.add_argument(
        "--encoder", type=str, required=True, help="encoder.safetensors of a pretraining run, or the run's folder"
    )
    parser.add_argument("--backbone", type=str, help="dotted path of its class, where no distribution offers that")
    parser.add_argument("--zoo", type=str, required=True, help="folder of the zoo")
    parser.add_argument("--out", type=str, required=True, help="safetensors file to write")
    return parser
