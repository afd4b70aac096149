"""Meshes within libraries of furniture, which are zip files; nothing of them is unpacked to the disk."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weightspace.files import open_regular
from weightspace.files.limits import MESH_BYTES
from weightspace.sources.solids.mesh_file import normalise, parse_mesh
from weightspace.sources.solids.near_copies import outline
from weightspace.sources.solids.polygons import MeshError
from weightspace.sources.solids.stored import StoredMesh

if TYPE_CHECKING:
    from trimesh import Trimesh

#: What reading a damaged zip file raises; RuntimeError: it wants a password.
DAMAGED = (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, ValueError)
#: From models, whose second coordinate is the height, to solids, whose third one is.
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def read_member(library: Path, member: str, limit: int) -> bytes:
    """Reads a member of a zip file into memory.

    Raises:
        MeshError: it is damaged, missing, or larger than ``limit`` bytes.
    """
    try:
        with open_regular(library) as file, zipfile.ZipFile(file) as archive:
            entry = archive.getinfo(member)
            if entry.file_size > limit:
                raise MeshError(f"{entry.file_size:,} bytes are too many (at most {limit:,})")
            return archive.read(entry)
    except KeyError as error:
        raise MeshError("the library has no such file") from error
    except MeshError:
        raise
    except DAMAGED as error:
        raise MeshError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error


@dataclass(frozen=True)
class PackedMesh(StoredMesh):
    """An OBJ model in a library.

    Args:
        name: library and member, with a slash between them.
        path: of the library.
        member: name of the model's file within it.
        size: of that file in bytes, unpacked.
        turn: (9) rotation, row by row, that the catalogue asks for.
    """

    member: str
    size: int
    turn: tuple[float, ...]

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.member} in {self.path}"

    def state(self) -> tuple[int, int]:
        """Size of the model, and time of the last change of the library.

        Raises:
            OSError: there is no such library.
        """
        return self.size, self.path.stat().st_mtime_ns

    def content(self) -> bytes:
        """The bytes of the model.

        Raises:
            MeshError: they cannot be read, or are too many.
        """
        return read_member(self.path, self.member, MESH_BYTES)

    def parsed(self, content: bytes) -> Trimesh:
        """The mesh, turned as the catalogue asks and so that its third coordinate is the height, and normalised.

        Raises:
            MeshError: it is not a usable mesh.
        """
        mesh = parse_mesh(content, ".obj", crossed=True)
        mesh.vertices = normalise(mesh.vertices @ (UPRIGHT @ np.reshape(self.turn, (3, 3))).T)
        return mesh

    def outline(self, mesh: Trimesh) -> list[float]:
        """What near-copies share, see ``near_copies``."""
        return outline(mesh)
