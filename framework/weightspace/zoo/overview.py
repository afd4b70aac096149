"""Describing the contents of a zoo in a few lines of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weightspace.text import listed, shown
from weightspace.zoo.header import ZooHeader


def overview(path: Path, header: ZooHeader, splits: dict[str, int]) -> str:
    """Networks, architecture, splits, target and source.

    Args:
        path: folder of the zoo.
        header: what it says of itself.
        splits: number of networks of each split.
    """
    sizes = ", ".join(f"{name} {count:,}" for name, count in splits.items() if count)
    names = listed([shown(name, 40) for name in header.target["names"]], most=10)
    count = len(header.target["names"])
    target = f"{count} {'class' if count == 1 else 'classes'}: {names}" if header.class_names else f"target: {names}"
    left_out = f", {len(header.left_out):,} left out" if header.left_out else ""
    recipe = header.provenance.get("recipe", {}).get("name")
    source = made_from(header.provenance) + (f", recipe {recipe}" if recipe else "")
    lines = (
        f"Zoo {shown(path, 200)}: {header.rows:,} networks{left_out}",
        f"{header.spec}, {header.spec.num_params:,} parameters each",
        sizes or "no networks",
        target,
        f"source: {shown(source, 200)}",
    )
    return "\n  ".join(lines)


def made_from(provenance: dict[str, Any]) -> str:
    """Where a zoo's networks come from: the name of the source, the files that were imported, or tensors."""
    if "imported" in provenance:
        return f"imported ({provenance['imported']['format']}) from {provenance.get('import_path')}"
    if "written" in provenance:
        return "written from tensors"
    return str(provenance.get("source", {}).get("name", "unknown"))
