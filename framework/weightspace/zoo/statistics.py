"""A zoo at a glance."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table

from weightspace.zoo.header import SPLITS
from weightspace.zoo.store import Zoo


def zoo_table(zoo: Zoo) -> Group:
    """Architecture, provenance, and counts and quality per split, for a terminal."""
    return Group(_facts(zoo), _splits(zoo), _classes(zoo))


def _facts(zoo: Zoo) -> Table:
    provenance = zoo.header.provenance
    recipe = provenance.get("recipe", {})
    made_with = ", ".join(f"{k} {v}" for k, v in provenance.get("versions", {}).items())
    table = Table(show_header=False, box=None, title=str(zoo.path), title_justify="left")
    for name, value in (
        ("networks", f"{len(zoo)} of {len(zoo.objects.unique())} objects, {len(zoo.header.shards)} shards"),
        ("architecture", f"{zoo.spec}, {zoo.spec.num_params} parameters"),
        ("source", _source(provenance)),
        (
            "recipe",
            f"{recipe['name']}: {recipe['steps']} steps, initialisation {recipe['init']}" if recipe else "unknown",
        ),
        ("seed, mode", f"{provenance.get('plan', {}).get('seed')}, {provenance.get('mode')}"),
        ("made with", made_with),
        (
            "left out",
            f"{len(zoo.header.failed)} networks: the reasons are in zoo.json" if zoo.header.failed else "none",
        ),
        ("digest", zoo.digest),
    ):
        table.add_row(name, value)
    return table


def _source(provenance: dict[str, Any]) -> str:
    if "imported" in provenance:
        return f"imported ({provenance['imported']['format']}) from {provenance.get('import_path')}"
    return str(provenance.get("source", {}).get("name", "unknown"))


def _splits(zoo: Zoo) -> Table:
    table = Table("split", "networks", "objects", "views", *(f"mean {q}" for q in zoo.header.quality))
    for split in SPLITS:
        rows = zoo.rows(split)
        if len(rows):
            quality = [f"{float(q):.2f}" for q in zoo.quality[rows].mean(0)]
            counts = (len(rows), len(zoo.objects[rows].unique()), len(zoo.views[rows].unique()))
            table.add_row(split, *map(str, counts), *quality)
    return table


def _classes(zoo: Zoo) -> Table:
    names = zoo.class_names
    if names is None:
        return Table("target", *zoo.header.target["names"])
    present = [split for split in SPLITS if len(zoo.rows(split))]
    table = Table("networks of class", *present)
    counts = [zoo.targets[zoo.rows(split)].bincount(minlength=len(names)).tolist() for split in present]
    for label, name in enumerate(names):
        table.add_row(name, *(str(column[label]) for column in counts))
    return table
