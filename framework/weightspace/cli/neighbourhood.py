"""The work of ``weightspace neighbours``: a table, pictures, and a map, also for TensorBoard."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from jsonargparse import Namespace
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from weightspace.backbones import Backbone, embed, load_backbone
from weightspace.backbones.artefact import describe_encoder
from weightspace.checks import check_whole
from weightspace.cli.console import make_console
from weightspace.cli.embedding import classes_of, splits_text, zoo_of
from weightspace.distributed.device import choose_device
from weightspace.errors import ConfigError
from weightspace.figures.images import decoded_images, save_figure
from weightspace.figures.neighbours import THUMBNAIL, map_figure, neighbours_figure, pictured
from weightspace.files import write_whole
from weightspace.progress import Display
from weightspace.studies.nearness import outputs
from weightspace.studies.neighbours import Neighbours, neighbours
from weightspace.studies.study_file import LARGEST_SEED
from weightspace.studies.zoo_map import FEWEST, positions
from weightspace.text import PlainConsole, cell, shown
from weightspace.zoo import Zoo
from weightspace.zoo.splits import evenly_spaced


def show(options: Namespace) -> None:
    """Writes ``neighbours.csv``, ``neighbours.png``, ``map.png`` and events for TensorBoard; prints a table.

    Args:
        options: options of ``weightspace neighbours``.

    Raises:
        ConfigError: a value is out of range, the encoder is not an artefact, or a file cannot be written.
        SpecError: the encoder is for other networks.
        ZooError: the zoo is not complete, or has no such split.
    """
    out, console = Path(options.out), make_console()
    zoo = Zoo(options.zoo) if options.encoder is None else zoo_of(options.zoo, describe_encoder(options.encoder))
    check_whole("map", options.map, low=0)
    check_whole("seed", options.seed, low=0, high=LARGEST_SEED)
    encoder = None
    if options.encoder is not None:
        encoder = load_backbone(options.encoder, classes_of(options.backbone)).to(choose_device(options.device))
    names = ("queries", "split", "among", "by", "count", "limit", "group")
    arguments = {name: options[name] for name in names}
    found = neighbours(zoo, encoder, display=Display(console=console), **arguments)
    writer = _writer(out)
    try:
        _write_table(found, out / "neighbours.csv")
        _print(found, console)
        if zoo.spec.coordinates in (2, 3):
            _draw(neighbours_figure(found), out, "neighbours", writer)
            if (drawn := pictured(found)) < len(found.queries):
                console.print(f"neighbours.png shows the first {drawn} of {len(found.queries):,} queries")
        if options.map:
            _draw_map(zoo, encoder, options, out, writer, console)
    finally:
        writer.close()
    if said := splits_text(zoo):
        console.print(said)
    console.print(f"pictures and neighbours.csv: {out}; in TensorBoard: tensorboard --logdir {out}")


def _writer(out: Path) -> SummaryWriter:
    try:
        out.mkdir(parents=True, exist_ok=True)
        return SummaryWriter(str(out))
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error


def _print(found: Neighbours, console: PlainConsole) -> None:
    shares, chance = found.agreement(), found.chance()
    count = next(iter(found.found.values())).shape[1]
    console.print(f"the {count} nearest of {len(found.among):,} networks to each of {len(found.queries)}")
    table = Table("by", "mean distance", *(["of the query's class"] if shares else []))
    for way, distances in found.distances.items():
        table.add_row(way, f"{float(distances.mean()):.3g}", *([f"{shares[way]:.0%}"] if shares else []))
    if chance is not None:
        table.add_row("(chance)", "", f"{chance:.0%}")
    console.print(table, soft_wrap=False)


def _write_table(found: Neighbours, path: Path) -> None:
    zoo, text = found.zoo, io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["by", "query object", "query view", "rank", "object", "view", "distance", *_named(zoo, None)])
    for way, rows in found.found.items():
        for query, near, distances in zip(found.queries, rows, found.distances[way].tolist(), strict=True):
            for rank, (row, distance) in enumerate(zip(near, distances, strict=True), 1):
                places = [int(column[r]) for r in (query, row) for column in (zoo.objects, zoo.views)]
                own, other = places[:2], places[2:]
                writer.writerow([way, *own, rank, *other, f"{distance:.6g}", *_named(zoo, (int(query), int(row)))])
    try:
        write_whole(path, text.getvalue().encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def _named(zoo: Zoo, rows: tuple[int, int] | None) -> list[str]:
    """The classes of query and neighbour, or the names of these columns; nothing where there are no classes."""
    if zoo.class_names is None:
        return []
    if rows is None:
        return ["query class", "class"]
    return [cell(zoo.class_names[int(zoo.targets[row])]) for row in rows]


def _draw(figure: Figure, out: Path, name: str, writer: SummaryWriter) -> None:
    writer.add_image(name, np.asarray(save_figure(figure, out / f"{name}.png"))[..., :3], 0, dataformats="HWC")


def _draw_map(
    zoo: Zoo, encoder: Backbone | None, options: Namespace, out: Path, writer: SummaryWriter, console: PlainConsole
) -> None:
    there = zoo.rows(options.split, first_view_only=True)
    rows = there[evenly_spaced(len(there), options.map)]
    if encoder is None and zoo.spec.kernels:
        console.print("no map: of networks that read images it is one of embeddings: give --encoder")
        return
    if len(rows) < FEWEST:
        few = f"the split {options.split} has {len(there)}" if len(there) < FEWEST else f"--map is {options.map}"
        console.print(f"no map: it needs {FEWEST} networks or more, and {few}")
        return
    batch = zoo.batch(rows)
    vectors = _functions(zoo, rows) if encoder is None else embed(encoder, batch)
    _draw(map_figure(zoo, rows, positions(vectors, options.seed)), out, "map", writer)
    names = None if zoo.class_names is None else [shown(zoo.class_names[int(t)]) for t in zoo.targets[rows]]
    pictures = decoded_images(batch, THUMBNAIL, zoo.value_range) if zoo.spec.coordinates == 2 else None
    writer.add_embedding(vectors, names, pictures, 0, "embedding" if encoder is not None else "function")


def _functions(zoo: Zoo, rows: Tensor) -> Tensor:
    """What networks compute, where there is no encoder, less the mean over the networks."""
    values = outputs(zoo.batch(rows))
    return values - values.mean(0)
