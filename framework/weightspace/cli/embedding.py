"""The work of ``weightspace embed``: embedding a zoo and writing the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from weightspace.backbones import Backbone
from weightspace.backbones.artefact import describe_encoder, load_backbone
from weightspace.backbones.embedding import embed, write_embeddings
from weightspace.cli.console import make_console
from weightspace.data.seen import as_trained
from weightspace.distributed.device import choose_device
from weightspace.entry_points import BACKBONES, load_plugin
from weightspace.errors import ConfigError
from weightspace.progress import Display
from weightspace.zoo import Zoo

#: Number of networks that are read and embedded at a time.
CHUNK = 4_096


def write(options: Namespace) -> None:
    """Writes embeddings (n, D) of all networks of a zoo, with object, view, split and target of each.

    Args:
        options: options of ``weightspace embed``.

    Raises:
        ConfigError: the encoder is not an artefact or for other networks, the device cannot be used, or the file cannot
            be written.
        ZooError: the zoo is not complete.
    """
    encoder = load_backbone(options.encoder, classes_of(options.backbone))
    described = describe_encoder(options.encoder)
    zoo, out = zoo_of(options.zoo, described), Path(options.out)
    if not encoder.reads(zoo.spec):
        raise ConfigError(f"the encoder {options.encoder} is for networks {encoder.spec}, the zoo has {zoo.spec}")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}")
    encoder, console = encoder.to(choose_device(options.device)), make_console()
    chunks = torch.arange(len(zoo)).split(CHUNK)
    parts = []
    with Display(console=console).bar("embedding") as report:
        for rows in chunks:
            parts.append(embed(encoder, zoo.batch(rows)))
            report(int(rows[-1]) + 1, len(zoo))
    write_embeddings(out, torch.cat(parts), zoo, described)
    console.print(f"{len(zoo):,} embeddings of length {encoder.out_dim} at {out}")
    if said := splits_text(zoo):
        console.print(said)


def zoo_of(path: str, encoder: dict[str, Any]) -> Zoo:
    """A zoo, in the splits of the fold in which an encoder was trained, if its description names one of this zoo."""
    zoo = Zoo(path)
    return as_trained(zoo, encoder.get("trained_on")) or zoo


def splits_text(zoo: Zoo) -> str:
    """A line about splits that are not the zoo's own; empty if they are."""
    if zoo.fold is None:
        return ""
    return "splits are those of fold {} of {}, in which the encoder was trained".format(*zoo.fold)


def classes_of(name: str | None) -> list[type[Backbone]]:
    """Imports the class given by ``--backbone``, if any."""
    if name is None:
        return []
    found = load_plugin(BACKBONES, name, ConfigError, kind="backbone")
    if not (isinstance(found, type) and issubclass(found, Backbone)):
        raise ConfigError(f"--backbone {name}: expected a class derived from Backbone, found {found!r:.100}")
    return [found]
