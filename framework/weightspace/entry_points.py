"""Finding plugins: named objects that installed distributions offer through entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from weightspace.errors import WeightspaceError, closest


@cache
def plugins(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """All entry points of a group by name (more than one where two distributions claim a name)."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=group), key=lambda p: p.name):
        # an editable install beside a checkout on sys.path lists the same entry point twice
        if all(distribution(point) != distribution(other) for other in found.get(point.name, ())):
            found[point.name] = (*found.get(point.name, ()), point)
    return found


def distribution(point: EntryPoint) -> str:
    """Name and version of the distribution that an entry point belongs to."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def load_plugin(group: str, name: str, error: type[WeightspaceError], kind: str) -> Any:
    """Imports the object that is called ``name`` in a group.

    Args:
        group: for instance "weightspace.augmentations".
        name: entry-point name.
        error: the error type to raise.
        kind: what to call it in messages, for instance "augmentation".

    Raises:
        WeightspaceError: (the given type) unknown name, a name claimed by two distributions, or a failed import.
    """
    known = plugins(group)
    if name not in known:
        listing = [f"{n} ({distribution(points[0])})" for n, points in known.items()]
        match = closest(name, known).split("Known:")[0]
        raise error(f"unknown {kind} {name!r}: {match}Known: {', '.join(listing) or '(none)'}")
    points = known[name]
    if len(points) > 1:
        owners = " and ".join(distribution(p) for p in points)
        raise error(f"{kind} {name!r} is offered by {owners}: uninstall one of them")
    try:
        return points[0].load()
    except Exception as cause:  # whatever a third party's module does at import is reported, with its name
        raise error(
            f"{kind} {name!r} of {distribution(points[0])} cannot be imported: {type(cause).__name__}: {cause}"
        ) from cause
