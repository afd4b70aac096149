"""Solids as objects: a function of the signed distance, at points in a cube and near the surface."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_choice, check_number, is_whole, require
from weightspace.errors import SourceError
from weightspace.sources.base import MOST_POINTS, Source

FIELDS = ("sdf", "occupancy")
#: Standard deviation of the points near the surface.
NEAR = 0.03
#: What the sources' ``clamp`` is, if it is not given.
CLAMP = 0.1


class SolidSource(Source):
    """Solids in the cube [-1, 1]^3, each with points of its own: the first half evenly in the cube.

    Args:
        points: of each solid, an even number >= 2.
        field: the value is ``0.5 - clamp(distance, -clamp, clamp) / (2 clamp)`` ("sdf"), or 1 inside and 0 outside
            ("occupancy"). Both are above one half inside.
        clamp: largest distance that counts, in (0, 2]; for "sdf" alone.

    Raises:
        SourceError: a value out of range.
    """

    set_by_constructor = "clamp"
    in_dim, out_dim = 3, 1

    def __init__(self, points: int, field: str, clamp: float) -> None:
        owner = f"source {self.name!r}"
        even = is_whole(points) and 2 <= points <= MOST_POINTS and points % 2 == 0
        require(f"{owner}: points", points, even, f"an even number in 2..{MOST_POINTS:,}", SourceError)
        check_choice(f"{owner}: field", field, FIELDS, SourceError)
        check_number(f"{owner}: clamp", clamp, above=0, high=2, error=SourceError)
        if field == "occupancy" and clamp != CLAMP:
            raise SourceError(f"source {self.name!r}: clamp {clamp} has no effect with field=occupancy: leave it out")
        self.field, self.clamp, self.uniform = field, clamp, points // 2

    @abstractmethod
    def sample(self, item: int) -> Tensor:
        """(N, 3) float64 points of an object, the first half evenly in the cube."""

    @abstractmethod
    def distance(self, item: int, points: Tensor) -> Tensor:
        """(N,) signed distances of float64 points (N, 3) to an object's surface, negative inside.

        Only those up to the clamp need to be exact; larger ones must be larger than it.
        """

    def surface(self, item: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Vertices (V, 3) and triangles (F, 3) of an object, or None, in which case pictures compute them."""
        return None

    def points(self, objects: Tensor) -> Tensor:
        """(len(objects), N, 3)."""
        return torch.stack([self.sample(item).float() for item in objects.tolist()])

    def values(self, objects: Tensor) -> Tensor:
        """(len(objects), N, 1), of the points as float32 has them."""
        return self.observations(objects)[1]

    def observations(self, objects: Tensor) -> tuple[Tensor, Tensor]:
        """Points and values, each object's once, however many views it has."""
        items, places = objects.unique(return_inverse=True)
        points = [self.sample(item).float() for item in items.tolist()]
        values = [self.values_at(item, those) for item, those in zip(items.tolist(), points, strict=True)]
        return torch.stack(points)[places], torch.stack(values)[places]

    def values_at(self, item: int, points: Tensor) -> Tensor:
        """(N, 1) float32 values of an object at any points (N, 3)."""
        distance = self.distance(item, points.double())
        if self.field == "occupancy":
            return (distance < 0).float().unsqueeze(1)
        return (0.5 - distance.clamp(-self.clamp, self.clamp) / (2 * self.clamp)).float().unsqueeze(1)
