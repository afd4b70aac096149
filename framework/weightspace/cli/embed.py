"""The command ``weightspace embed``, which writes embeddings of the networks of a zoo."""

from __future__ import annotations

from weightspace.cli.parser import Parser


def embed_cli(arguments: list[str]) -> None:
    """Runs ``weightspace embed`` with the given arguments."""
    options = _parser().parse_args(arguments)
    # imported here: --help needs neither torch nor the backbones, which take two seconds to import
    from weightspace.cli.embedding import write

    write(options)


def _parser() -> Parser:
    parser = Parser(prog="weightspace embed", description="Writes the embeddings of a zoo by a pretrained encoder.")
    parser.add_argument(
        "--encoder", type=str, required=True, help="encoder.safetensors of a pretraining run, or the run's folder"
    )
    parser.add_argument("--backbone", type=str, help="dotted path of its class, if it is not an installed entry point")
    parser.add_argument("--zoo", type=str, required=True, help="folder of the zoo")
    parser.add_argument("--device", type=str, default="cpu", help="device on which to embed, for instance cuda")
    parser.add_argument("--out", type=str, required=True, help="the safetensors file to write")
    return parser
