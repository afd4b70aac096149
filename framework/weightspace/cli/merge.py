"""The command ``weightspace merge A B --out C``, which aligns two networks and mixes them."""

from __future__ import annotations

from weightspace.cli.parser import Parser


def merge_cli(arguments: list[str]) -> None:
    """Runs ``weightspace merge`` with the given arguments."""
    options = _parser().parse_args(arguments)
    # imported here: --help needs no torch, which takes a second to import
    from weightspace.cli.merging import run

    run(options)


def _parser() -> Parser:
    about = "Aligns the second network with the first, and writes their mixture."
    parser = Parser(prog="weightspace merge", description=about)
    parser.add_argument("first", type=str, help="state_dict, .safetensors or a file of torch")
    parser.add_argument("second", type=str, help="that of another network of the same architecture")
    parser.add_argument("--out", type=str, required=True, help="the safetensors file to write")
    parser.add_argument("--spec", type=str, help="JSON file of the architecture; default: spec.json beside or above")
    parser.add_argument("--key", type=str, help="location of the network in files with other contents, as model_ema")
    norm = "what batch normalisation, which is folded, adds to variances; default 1e-5"
    parser.add_argument("--norm_eps", type=float, help=norm)
    parser.add_argument("--weight", type=float, default=0.5, help="of the second network, in 0..1")
    parser.add_argument("--group", type=str, default="auto", help="symmetries that alignment removes, or none")
    parser.add_argument("--source", type=str, help="measure accuracies (cnns, classifiers), or the PSNR of an object")
    text = "arguments of the source: --source_set data=digits"
    parser.add_argument("--source_set", nargs="+", action="extend", metavar="ARGUMENT=VALUE", help=text)
    parser.add_argument("--object", type=int, help="number of the object that both networks store")
    parser.add_argument("--picture", type=str, metavar="FILE", help="draw what is measured along the line (PNG)")
    parser.add_argument("--steps", type=int, help="points of the line, an odd number; default 11")
    text = "outputs that stand for 0 and 1 of the object; default: as target.json beside or above says, else [0,1]"
    parser.add_argument("--value_range", type=tuple[float, float], metavar="[LOW,HIGH]", help=text)
    return parser
