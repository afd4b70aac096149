"""``weightspace embed``: a zoo's networks as vectors, for any other tool."""

from __future__ import annotations

from pathlib import Path

import torch

from weightspace.backbones import Backbone
from weightspace.backbones.artefact import describe_encoder, load_backbone
from weightspace.backbones.embedding import embed, write_embeddings
from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.entry_points import BACKBONES, load_plugin
from weightspace.errors import ConfigError
from weightspace.progress import Display
from weightspace.zoo import Zoo

#: Networks that are read and embedded at a time.
CHUNK = 4_096


def embed_cli(arguments: list[str]) -> None:
    """Writes embeddings (n, D) of all networks of a zoo, with object, view, split and target of each.

    Raises:
        ConfigError: no encoder artefact, one for other networks, or a file that cannot be written.
        ZooError: no whole zoo.
    """
    parser = Parser(prog="weightspace embed", description="Writes a zoo's embeddings by a pretrained encoder.")
    parser.add_argument(
        "--encoder", type=str, required=True, help="encoder.safetensors of a pretraining run, or the run's folder"
    )
    parser.add_argument("--backbone", type=str, help="dotted path of its class, where no distribution offers that")
    parser.add_argument("--zoo", type=str, required=True, help="folder of the zoo")
    parser.add_argument("--out", type=str, required=True, help="safetensors file to write")
    options = parser.parse_args(arguments)
    encoder, zoo, out = load_backbone(options.encoder, _classes(options.backbone)), Zoo(options.zoo), Path(options.out)
    if encoder.spec != zoo.spec:
        raise ConfigError(f"the encoder {options.encoder} is for networks {encoder.spec}, the zoo has {zoo.spec}")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}")
    console = make_console()
    chunks = torch.arange(len(zoo)).split(CHUNK)
    parts = []
    with Display(console=console).bar("embedding") as report:
        for rows in chunks:
            parts.append(embed(encoder, zoo.batch(rows)))
            report(int(rows[-1]) + 1, len(zoo))
    write_embeddings(out, torch.cat(parts), zoo, describe_encoder(options.encoder))
    console.print(f"{len(zoo):,} embeddings of length {encoder.out_dim} at {out}")


def _classes(name: str | None) -> list[type[Backbone]]:
    """The class of the user's own that is named, which is imported."""
    if name is None:
        return []
    found = load_plugin(BACKBONES, name, ConfigError, kind="backbone")
    if not (isinstance(found, type) and issubclass(found, Backbone)):
        raise ConfigError(f"--backbone {name}: expected a class derived from Backbone, found {found!r:.100}")
    return [found]
