"""Triangle meshes from files that others wrote."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trimesh import Trimesh

ENDINGS = frozenset({".off", ".obj", ".stl", ".ply"})
#: Larger files and meshes are refused.
MAX_BYTES, MAX_FACES = 300_000_000, 1_000_000
#: Less than a grain of the cube: a mesh of faces that lie on one another.
MIN_VOLUME = 1e-9
#: Half of a mesh's longest side, after it is normalised.
REACH = 0.9


def parse_mesh(content: bytes, ending: str) -> Trimesh:
    """Reads a mesh, moves and scales its bounding box to the longest side [-0.9, 0.9], and merges equal vertices.

    Args:
        content: of the file. Materials and textures beside it are not looked for.
        ending: ".off", ".obj", ".stl" or ".ply".

    Raises:
        ValueError: why it is no mesh.
    """
    import trimesh

    if len(content) > MAX_BYTES:
        raise ValueError(f"{len(content):,} bytes are too many (at most {MAX_BYTES:,})")
    if ending == ".off":
        _check_off(content)
    try:
        loaded: Any = trimesh.load_mesh(io.BytesIO(content), file_type=ending[1:], process=False)
        vertices, faces = np.asarray(loaded.vertices, dtype=np.float64), np.asarray(loaded.faces, dtype=np.int64)
    except Exception as error:  # a damaged file raises many kinds
        raise ValueError(f"cannot be read ({type(error).__name__}: {str(error).strip()[:200]})") from error
    if not len(faces) or faces.ndim != 2:
        raise ValueError("has no faces")
    if len(faces) > MAX_FACES:
        raise ValueError(f"{len(faces):,} faces are too many (at most {MAX_FACES:,})")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"a face names vertex {faces.max()} of {len(vertices)}")
    if not np.isfinite(vertices[faces]).all():
        raise ValueError("has vertices that are not finite numbers")
    used = vertices[np.unique(faces)]
    low, high = used.min(0), used.max(0)
    size = float((high / 2 - low / 2).max())
    if not 1e-100 < size < 1e100:
        raise ValueError(f"its longest side is {2 * size:g}")
    mesh = trimesh.Trimesh((vertices - (low / 2 + high / 2)) * (REACH / size), faces, process=True)
    if not mesh.area > 0:
        raise ValueError("its faces have no area")
    return mesh


def leak(mesh: Trimesh) -> str | None:
    """Why a mesh does not divide inside from outside by itself; None: it does."""
    if not mesh.is_watertight:
        counts = np.unique(mesh.edges_unique_inverse, return_counts=True)[1]
        return f"not watertight: {int((counts != 2).sum()):,} of {len(counts):,} edges are not between two faces"
    if not mesh.is_winding_consistent:
        return "not watertight: neighbouring faces are turned to opposite sides"
    first, second, third = np.moveaxis(mesh.triangles, 1, 0)
    if abs((np.cross(first, second) * third).sum() / 6) < MIN_VOLUME:
        return "it encloses no volume"
    return None


def read_file(path: Path) -> bytes:
    """The content of a mesh file.

    Raises:
        ValueError: it cannot be read, or is too large.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"{size:,} bytes are too many (at most {MAX_BYTES:,})")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from error


def _check_off(content: bytes) -> None:
    """Tells whether an OFF file was cut: the reader would take what is left of its faces for all of them."""
    lines = [line for raw in content.splitlines() if (line := raw.split(b"#")[0].strip())]
    head = b"\n".join(lines[:2])
    counts = re.match(rb"C?OFF\s*(\d{1,9})\s+(\d{1,9})(\s|$)", head)
    if not counts:
        raise ValueError("not an OFF file: it should begin with OFF and the counts of vertices and faces")
    vertices, faces = int(counts[1]), int(counts[2])
    body = lines[1 if b"\n" not in counts[0].strip() else 2 :]
    if len(body) < vertices + faces:
        raise ValueError(f"cut short: {vertices:,} vertices and {faces:,} faces, but only {len(body):,} lines")
    for line in body[vertices : vertices + faces]:
        corners = line.split()
        if not corners[0].isdigit() or int(corners[0]) < 3 or len(corners) <= int(corners[0]):
            raise ValueError(f"not a face: {line[:50].decode(errors='replace')!r}")
