"""Meshes where they are stored: in a file each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weightspace.errors import SourceError
from weightspace.sources.solids.mesh_file import parse_mesh, read_file, turn_outwards

if TYPE_CHECKING:
    from trimesh import Trimesh


@dataclass(frozen=True)
class StoredMesh:
    """A mesh in a file of its own.

    Args:
        name: for lists and caches: the path below the folder of all of them, with slashes.
        path: of the file.
    """

    name: str
    path: Path

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return str(self.path)

    def state(self) -> tuple[int, int]:
        """Size in bytes, and time of the last change in nanoseconds: what a change of the content changes.

        Raises:
            OSError: there is no such file.
        """
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns

    def content(self) -> bytes:
        """The bytes of the mesh.

        Raises:
            MeshError: they cannot be read, or are too many.
        """
        return read_file(self.path)

    def parsed(self, content: bytes) -> Trimesh:
        """The mesh of a content, normalised as ``parse_mesh`` does.

        Raises:
            MeshError: it is not a usable mesh.
        """
        return parse_mesh(content, self.path.suffix.lower())

    def outline(self, mesh: Trimesh) -> list[float]:
        """What near-copies of a mesh share; empty where nobody looks for them."""
        return []

    def solid(self, sha256: str) -> Trimesh:
        """The mesh with its faces turned outwards.

        Args:
            sha256: what the content must be.

        Raises:
            SourceError: it cannot be read, or has another content.
        """
        try:
            content = self.content()
        except ValueError as error:
            raise SourceError(f"{self.place}: {error}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SourceError(f"{self.place} has changed since the source was loaded")
        mesh = self.parsed(content)
        turn_outwards(mesh)
        return mesh
