"""Solids from triangle meshes, wherever these are stored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.distributed.workers import in_processes
from weightspace.errors import SourceError
from weightspace.progress import Display
from weightspace.sources.solids.prepared import Prepared, observed
from weightspace.sources.solids.solid import NEAR, SolidSource
from weightspace.sources.solids.stored import StoredMesh
from weightspace.sources.solids.triangles import inside, surface_distance

#: Another number means other points or values for the same files.
VERSION = 3


class MeshSource(SolidSource):
    """Meshes, normalised; half of the points in the cube, half near the surface.

    Args:
        points: number of points per mesh, even, >= 2.
        field, clamp: see ``SolidSource``.
        seed: of the points.

    Attributes:
        stored: the mesh of each object.
        sums: sha256 of the content of each.

    Raises:
        SourceError: a value out of range.
    """

    set_by_constructor = "stored"

    def __init__(self, points: int, field: str, clamp: float, seed: int) -> None:
        super().__init__(points, field, clamp)
        self.seed = check_whole(f"source {self.name!r}: seed", seed, low=0, error=SourceError)
        self.stored: Sequence[StoredMesh] = ()
        self.sums: Sequence[str] = ()
        self._last: tuple[int, Any] = (-1, None)
        self._prepared: Prepared | None = None

    def sample(self, item: int) -> Tensor:
        """Points uniform in the cube, then uniform on the surface with added noise."""
        from trimesh.sample import sample_surface

        rng = np.random.default_rng((self.seed, item))
        even = rng.uniform(-1, 1, (self.uniform, 3))
        on, _ = sample_surface(self._mesh(item), self.uniform, seed=int(rng.integers(2**31)))
        near = on + rng.normal(0, NEAR, even.shape)
        return torch.from_numpy(np.concatenate([even, near])).clamp(-1, 1)

    def distance(self, item: int, points: Tensor) -> Tensor:
        """Signed distance: exact, and negative if the absolute winding number exceeds one half (see ``inside``)."""
        vertices, faces = self.surface(item)
        distance = surface_distance(points, vertices, faces)
        outwards, inwards = inside(points, vertices, faces)
        return torch.where(outwards | inwards, -distance, distance)

    def surface(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and faces of the mesh."""
        mesh = self._mesh(item)
        return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)

    def prepare(self, objects: Tensor, display: Display) -> None:
        """Computes points and values of objects in several processes; they are kept in a temporary file.

        Raises:
            SourceError: a mesh cannot be read any more, or has changed.
            OSError: the temporary folder is full.
        """
        kept = self._prepared or Prepared(2 * self.uniform)
        new = [item for item in objects.unique().tolist() if item not in kept]
        self._prepared = None  # no process takes its file along
        found = in_processes(partial(observed, self.observations), new)
        with display.bar("preparing", "meshes") as report:
            for number, (item, result) in enumerate(zip(new, found, strict=True), start=1):
                kept.put(item, result)
                report(number, len(new))
        self._prepared = kept

    def observations(self, objects: Tensor) -> tuple[Tensor, Tensor]:
        """Points and values, of objects that were prepared from the file."""
        kept = self._prepared
        if kept is None or not all(item in kept for item in objects.tolist()):
            return super().observations(objects)
        points, values = zip(*(kept.get(item) for item in objects.tolist()), strict=True)
        return torch.stack(points), torch.stack(values)

    def _mesh(self, item: int) -> Any:
        """The mesh of an object with its faces turned outwards; the last one is cached."""
        if self._last[0] != item:
            self._last = item, self.stored[item].solid(self.sums[item])
        return self._last[1]
