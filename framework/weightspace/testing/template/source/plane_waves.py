"""A source: gratings, whose class is their direction."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor
from weightspace.checks import check_whole
from weightspace.errors import SourceError
from weightspace.sources import Source


class PlaneWaves(Source):
    """Plane waves of random lengths and phases on a square. They are known at every point, so at any resolution.

    Args:
        count: number of objects, in 1..1,000,000.
        directions: number of classes, in 1..180: the directions are evenly spread over 180 degrees.
        size: points along each side of the square, in 2..1000.
        seed: of lengths and phases, >= 0.
    """

    name = "plane_waves"
    in_dim = 2  # row and column
    out_dim = 1

    def __init__(self, count: int = 1000, directions: int = 4, size: int = 16, seed: int = 0) -> None:
        limits = {"count": (1, 1_000_000), "directions": (1, 180), "size": (2, 1000), "seed": (0, 2**63 - 1)}
        self.arguments = {"count": count, "directions": directions, "size": size, "seed": seed}
        for name, (low, high) in limits.items():
            check_whole(f"{self.name}: {name}", self.arguments[name], low, high, SourceError)
        self.num_train = count  # there are no validation and test sets of its own: they are drawn from these
        self.targets = np.arange(count, dtype=np.int64) % directions
        self.class_names = tuple(f"{180 * k / directions:g} degrees" for k in range(directions))
        generator = np.random.Generator(np.random.PCG64(seed))
        angles, waves = np.pi * self.targets / directions, generator.uniform(0.5, 2, count)
        phases = generator.uniform(0, 1, count)
        # (count, 3): waves along rows, waves along columns, phase
        self._waves = np.stack([waves * np.cos(angles), waves * np.sin(angles), phases], axis=1)

    @property
    def digest(self) -> str:
        """sha256 of what decides the objects."""
        facts = repr((self._waves.shape, self.arguments["size"], self.class_names)).encode()
        return hashlib.sha256(facts + np.ascontiguousarray(self._waves, dtype="<f8").tobytes()).hexdigest()

    def points(self, objects: Tensor) -> Tensor:
        """(size * size, 2) float32 in [-1, 1], the same for all objects."""
        side = torch.linspace(-1, 1, self.arguments["size"])
        return torch.cartesian_prod(side, side)

    def values(self, objects: Tensor) -> Tensor:
        """(len(objects), size * size, 1) float32 in [0, 1]. Depends on nothing but the objects' numbers."""
        waves = torch.from_numpy(self._waves[objects.numpy()])[:, None]  # (B, 1, 3)
        points = self.points(objects).double()  # (N, 2)
        turns = (points * waves[..., :2]).sum(2, keepdim=True) + waves[..., 2:]
        return (0.5 + 0.5 * torch.sin(2 * math.pi * turns)).float()
