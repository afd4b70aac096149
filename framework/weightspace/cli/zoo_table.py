"""The tables of ``weightspace zoo info``."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from weightspace.errors import ZooError
from weightspace.symmetry import group_name
from weightspace.text import shown
from weightspace.zoo.header import SPLITS
from weightspace.zoo.overview import made_from
from weightspace.zoo.store import Zoo
from weightspace.zoo.summary import layer_weights, nearest_pairs, text_histogram


def zoo_table(zoo: Zoo) -> Group:
    """Builds tables of architecture, provenance, counts and quality per split, weights per layer and nearest pairs."""
    tables = (
        _properties(zoo), _splits(zoo), _classes(zoo), _weights(zoo), _qualities(zoo), _alignments(zoo), _pairs(zoo),
    )  # fmt: skip
    return Group(*(table for table in tables if table.row_count))


def _properties(zoo: Zoo) -> Table:
    provenance = zoo.header.provenance
    recipe = provenance.get("recipe", {})
    made_with = ", ".join(f"{k} {v}" for k, v in provenance.get("versions", {}).items())
    table = Table(show_header=False, box=None, title=Text(shown(zoo.path), "italic"), title_justify="left")
    for name, value in (
        ("networks", f"{len(zoo)} of {len(zoo.objects.unique())} objects, {len(zoo.header.shards)} shards"),
        ("architecture", f"{zoo.spec}, {zoo.spec.num_params} parameters"),
        ("source", _source(provenance)),
        *((name, provenance[name]) for name in ("license", "attribution") if name in provenance),
        (
            "recipe",
            f"{recipe.get('name')}: {recipe.get('steps')} steps, initialisation {recipe.get('init')}"
            if recipe
            else "unknown",
        ),
        ("seed, mode", f"{provenance.get('plan', {}).get('seed')}, {provenance.get('mode')}"),
        ("made with", made_with),
        (
            "left out",
            f"{len(zoo.header.left_out)} networks: the reasons are in zoo.json" if zoo.header.left_out else "none",
        ),
        ("digest", zoo.digest),
    ):
        table.add_row(name, Text(shown(value)))
    return table


def _source(provenance: dict[str, Any]) -> str:
    unused = "; what was left out of its files is listed in zoo.json" if provenance.get("skipped") else ""
    return made_from(provenance) + unused


def _splits(zoo: Zoo) -> Table:
    table = Table(
        "split", "networks", "objects", "views", *(Column(Text(f"mean {shown(q)}")) for q in zoo.header.quality)
    )
    for split in SPLITS:
        rows = zoo.rows(split)
        if len(rows):
            quality = [f"{float(q):.2f}" for q in zoo.quality[rows].mean(0)]
            counts = (len(rows), len(zoo.objects[rows].unique()), len(zoo.views[rows].unique()))
            table.add_row(split, *map(str, counts), *quality)
    return table


def _classes(zoo: Zoo) -> Table:
    names = zoo.class_names
    present = [split for split in SPLITS if len(zoo.rows(split))]
    if names is None:
        table = Table("target", "mean", "deviation", "distribution")
        for name, column in zip(zoo.header.target["names"], zoo.targets.T, strict=True):
            deviation = f"{float(column.std(correction=0)):.3g}"
            table.add_row(Text(shown(name)), f"{float(column.mean()):.3g}", deviation, text_histogram(column))
        return table
    table = Table("networks of class", *present)
    counts = [zoo.targets[zoo.rows(split)].bincount(minlength=len(names)).tolist() for split in present]
    for label, name in enumerate(names):
        table.add_row(Text(shown(name)), *(str(column[label]) for column in counts))
    return table


def _weights(zoo: Zoo) -> Table:
    table = Table("tensor", "mean", "deviation", "largest", "distribution")
    for row in layer_weights(zoo):
        numbers = (f"{value:.3g}" for value in (row.mean, row.deviation, row.largest))
        table.add_row(row.name, *numbers, text_histogram(row.values))
    return table


def _qualities(zoo: Zoo) -> Table:
    table = Table("quality", "worst", "median", "best", "distribution")
    for name, column in zip(zoo.header.quality, zoo.quality.T, strict=True):
        numbers = (f"{float(value):.2f}" for value in (column.min(), column.median(), column.max()))
        table.add_row(Text(shown(name)), *numbers, text_histogram(column))
    return table


def _alignments(zoo: Zoo) -> Table:
    table = Table("alignment", "to", "symmetries", "squared distance", "unaligned")
    for name in zoo.alignments:
        try:
            header = zoo.alignment(name).header
        except ZooError as error:
            table.add_row(Text(shown(name)), Text(shown(error)), "", "", "")
            continue
        numbers = (f"{header.distance[when]:.4g}" for when in ("after", "before"))
        table.add_row(Text(shown(name)), Text(shown(header.reference["to"])), group_name(header.group), *numbers)
    return table


def _pairs(zoo: Zoo) -> Table:
    table = Table("nearest pairs", "and", "distance (1: median)")
    for pair in nearest_pairs(zoo):
        names = [f"object {int(zoo.objects[row])}, view {int(zoo.views[row])}" for row in (pair.first, pair.second)]
        table.add_row(*names, f"{pair.distance:.3f}")
    return table
