"""Solids from files of triangle meshes: ModelNet40's folders, and others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_whole, require
from weightspace.errors import SourceError
from weightspace.files.class_folders import class_folders
from weightspace.files.names import in_order
from weightspace.files.walk import most_frequent
from weightspace.sources.solids.mesh_file import ENDINGS, parse_mesh, read_file, turn_outwards
from weightspace.sources.solids.solid import CLAMP, NEAR, SolidSource
from weightspace.sources.solids.survey import survey
from weightspace.sources.solids.triangles import require_geometry, surface_distance, winding_number

#: Another number means other points or values for the same files.
VERSION = 2


class MeshSource(SolidSource):
    """Meshes below a folder, normalised; half of the points in the cube, half near the surface.

    Args:
        path: the folder, see ``meshes``.
        points: number of points per mesh, even, >= 2.
        field, clamp: see ``SolidSource``.
        winding: take meshes with holes too.
        seed: of the points.

    Raises:
        SourceError: no folder, no usable mesh, or a value out of range.
    """

    name = "meshes"

    def __init__(self, path: str, points: int, field: str, clamp: float, winding: bool, seed: int) -> None:
        super().__init__(points, field, clamp)
        require("source 'meshes': winding", winding, isinstance(winding, bool), "true or false", SourceError)
        seed = check_whole("source 'meshes': seed", seed, low=0, error=SourceError)
        self.root, self.seed = Path(path).expanduser(), seed
        options = {"points": points, "field": field, "clamp": clamp, "winding": winding, "seed": seed}
        self.arguments = {"path": str(self.root.resolve()), **options}
        found = class_folders(self.root, ENDINGS, "meshes", SourceError)
        files = [self.root / name for part in found.pools for _, name in part]
        findings = dict(zip(files, survey(self.root, files), strict=True))
        reasons = {file: f.defect or ("" if winding else f.leak) for file, f in findings.items()}
        unfit = [(self._relative(file), reason) for file, reason in reasons.items() if reason]
        self.left_out = (*found.left_out, *unfit)
        pools = [[(kind, self.root / name) for kind, name in part] for part in found.pools]
        kept = [[(kind, file) for kind, file in part if not reasons[file]] for part in pools]
        if not kept[0]:
            hint = "" if winding else "; winding=true takes those that are not watertight"
            raise SourceError(f"{self.root}: no training mesh can be used ({most_frequent(unfit)}){hint}")
        self.class_names = in_order(kind for part in kept for kind, _ in part)
        self.files = [file for part in kept for _, file in part]
        self.targets = np.array([self.class_names.index(kind) for part in kept for kind, _ in part], dtype=np.int64)
        self.num_train, self.num_val = len(kept[0]), len(kept[1])
        self._sums = [findings[file].sha256 for file in self.files]
        counts = (self.num_train, self.num_val) if self.num_val else self.num_train
        identity = (VERSION, sorted(options.items()), counts, self.class_names, self.targets.tolist(), self._sums)
        self._digest = hashlib.sha256(repr(identity).encode()).hexdigest()
        self._last: tuple[int, Any] = (-1, None)

    @property
    def digest(self) -> str:
        """sha256 of the options, the classes and the content of the files, independent of their location."""
        return self._digest

    def sample(self, item: int) -> Tensor:
        """Points uniform in the cube, then uniform on the surface with added noise."""
        from trimesh.sample import sample_surface

        rng = np.random.default_rng((self.seed, item))
        even = rng.uniform(-1, 1, (self.uniform, 3))
        on, _ = sample_surface(self._mesh(item), self.uniform, seed=int(rng.integers(2**31)))
        near = on + rng.normal(0, NEAR, even.shape)
        return torch.from_numpy(np.concatenate([even, near])).clamp(-1, 1)

    def distance(self, item: int, points: Tensor) -> Tensor:
        """Signed distance, negative if the absolute winding number exceeds one half; exact."""
        vertices, faces = self.surface(item)
        distance = surface_distance(points, vertices, faces)
        return torch.where(winding_number(points, vertices, faces).abs() > 0.5, -distance, distance)

    def surface(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and faces of the mesh."""
        mesh = self._mesh(item)
        return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)

    def _mesh(self, item: int) -> Any:
        """The mesh of an object with its faces turned outwards; the last one is cached."""
        if self._last[0] != item:
            file = self.files[item]
            try:
                content = read_file(file)
            except ValueError as error:
                raise SourceError(f"{file}: {error}") from error
            if hashlib.sha256(content).hexdigest() != self._sums[item]:
                raise SourceError(f"{file} has changed since the source was loaded")
            mesh = parse_mesh(content, file.suffix.lower())
            turn_outwards(mesh)
            self._last = item, mesh
        return self._last[1]

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()


def meshes(
    path: str, points: int = 16_384, field: str = "sdf", clamp: float = CLAMP, winding: bool = False, seed: int = 0
) -> MeshSource:
    """Reads OFF, OBJ, STL and PLY files.

    Either ``<path>/<class>/train/*`` and ``<path>/<class>/test/*``, as ModelNet40 has them, or
    ``<path>/train/<class>/*`` and ``<path>/test/<class>/*``, perhaps with ``val`` too, or ``<path>/<class>/*`` (no own
    validation and test sets). Each mesh is moved and scaled so that its longest side goes from -0.9 to 0.9.

    Args:
        path: the folder.
        points: number of points per mesh, even, >= 2.
        field, clamp: see ``SolidSource``.
        winding: take meshes that are not watertight too: inside is where the generalised winding number is above one
            half. Without it, they are left out and listed in ``left_out``.
        seed: of the points.

    Raises:
        SourceError: no folder, no usable mesh, or a value out of range.
        MissingExtraError: trimesh or libigl is not installed.
    """
    require_geometry("meshes")
    return MeshSource(path, points, field, clamp, winding, seed)
