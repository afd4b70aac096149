"""Solids from files of triangle meshes: ModelNet40's folders, and others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from weightspace.checks import require
from weightspace.errors import SourceError
from weightspace.files.class_folders import class_folders
from weightspace.files.names import in_order
from weightspace.files.walk import most_frequent
from weightspace.sources.solids.mesh_file import ENDINGS
from weightspace.sources.solids.mesh_source import VERSION, MeshSource
from weightspace.sources.solids.solid import CLAMP
from weightspace.sources.solids.stored import StoredMesh
from weightspace.sources.solids.survey import survey
from weightspace.sources.solids.triangles import require_geometry


class FolderOfMeshes(MeshSource):
    """Meshes below a folder.

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
        super().__init__(points, field, clamp, seed)
        require("source 'meshes': winding", winding, isinstance(winding, bool), "true or false", SourceError)
        root = Path(path).expanduser()
        options = {"points": points, "field": field, "clamp": clamp, "winding": winding, "seed": self.seed}
        self.arguments = {"path": str(root.resolve()), **options}
        found = class_folders(root, ENDINGS, "meshes", SourceError)
        stored = [StoredMesh(name, root / name) for part in found.pools for _, name in part]
        findings = {mesh.name: finding for mesh, finding in zip(stored, survey(root, stored), strict=True)}
        reasons = {name: f.defect or ("" if winding else f.leak) for name, f in findings.items()}
        unfit = [(name, reason) for name, reason in reasons.items() if reason]
        self.left_out = (*found.left_out, *unfit)
        kept = [[(kind, name) for kind, name in part if not reasons[name]] for part in found.pools]
        if not kept[0]:
            hint = "" if winding else "; winding=true takes those that are not watertight"
            raise SourceError(f"{root}: no training mesh can be used ({most_frequent(unfit)}){hint}")
        self.class_names = in_order(kind for part in kept for kind, _ in part)
        self.stored = [mesh for mesh in stored if not reasons[mesh.name]]
        self.targets = np.array([self.class_names.index(kind) for part in kept for kind, _ in part], dtype=np.int64)
        self.num_train, self.num_val = len(kept[0]), len(kept[1])
        self.sums = [findings[mesh.name].sha256 for mesh in self.stored]
        counts = (self.num_train, self.num_val) if self.num_val else self.num_train
        identity = (VERSION, sorted(options.items()), counts, self.class_names, self.targets.tolist(), self.sums)
        self._digest = hashlib.sha256(repr(identity).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """sha256 of the options, the classes and the content of the files, independent of their location."""
        return self._digest


def meshes(
    path: str, points: int = 16_384, field: str = "sdf", clamp: float = CLAMP, winding: bool = False, seed: int = 0
) -> FolderOfMeshes:
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
    return FolderOfMeshes(path, points, field, clamp, winding, seed)
