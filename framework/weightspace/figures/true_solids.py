"""Surfaces of the objects of a source, beside those of the networks that store them."""

from __future__ import annotations

from torch import Tensor

from weightspace.errors import ZooError
from weightspace.figures.solids import RESOLUTION, Surface, cube, surface
from weightspace.sources.base import Objects
from weightspace.sources.solids.solid import SolidSource


def true_solids(source: Objects, objects: Tensor) -> list[Surface]:
    """Computes the surfaces of objects of a source.

    Raises:
        ZooError: the objects of the source are not solids.
    """
    if not isinstance(source, SolidSource):
        raise ZooError(f"the objects of source {source.name!r} cannot be drawn: it is not a SolidSource")
    return [source.surface(item) or _sampled(source, item) for item in objects.tolist()]


def _sampled(source: SolidSource, item: int) -> Surface:
    return surface(source.values_at(item, cube()).reshape(RESOLUTION, RESOLUTION, RESOLUTION))
