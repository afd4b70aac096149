"""Triangle meshes from files that others wrote."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from weightspace.sources.triangle_tree import triangle_tree
from weightspace.sources.winding import winding_number

if TYPE_CHECKING:
    from trimesh import Trimesh

ENDINGS = frozenset({".off", ".obj", ".stl", ".ply"})
#: Larger files and meshes are refused.
MAX_BYTES, MAX_FACES = 100_000_000, 500_000
#: Less than a grain of the cube: a mesh of faces that lie on one another.
MIN_VOLUME = 1e-9
#: Faces of a body whose corners tell whether it lies within another one.
WITNESSES = 64
#: Half of a mesh's longest side, after it is normalised.
REACH = 0.9


class MeshError(ValueError):
    """What is wrong with the content of a file."""


def parse_mesh(content: bytes, ending: str) -> Trimesh:
    """Reads a mesh, moves and scales its bounding box to the longest side [-0.9, 0.9], and merges equal vertices.

    Args:
        content: of the file. Materials and textures beside it are not looked for.
        ending: ".off", ".obj", ".stl" or ".ply".

    Raises:
        MeshError: why it is no mesh.
    """
    import trimesh

    if len(content) > MAX_BYTES:
        raise MeshError(f"{len(content):,} bytes are too many (at most {MAX_BYTES:,})")
    try:
        vertices, faces = _read_off(content) if ending == ".off" else _read_other(content, ending)
    except (MeshError, MemoryError, ImportError):
        raise  # said already, or no fault of the file
    except Exception as error:  # a damaged file raises many kinds
        raise MeshError(f"cannot be read ({type(error).__name__}: {str(error).strip()[:200]})") from error
    if not len(faces) or faces.ndim != 2:
        raise MeshError("has no faces")
    if len(faces) > MAX_FACES:
        raise MeshError(f"{len(faces):,} faces are too many (at most {MAX_FACES:,})")
    if faces.min() < 0 or faces.max() >= len(vertices):
        wrong = faces.min() if faces.min() < 0 else faces.max()
        raise MeshError(f"a face names vertex {wrong} of {len(vertices)}")
    if not np.isfinite(vertices[faces]).all():
        raise MeshError("has vertices that are not finite numbers")
    used = vertices[np.unique(faces)]
    low, high = used.min(0), used.max(0)
    size = float((high / 2 - low / 2).max())
    if not 1e-100 < size < 1e100:
        raise MeshError(f"its longest side is {2 * size:g}")
    mesh = trimesh.Trimesh((vertices - (low / 2 + high / 2)) * (REACH / size), faces, process=True)
    if not mesh.area > 0:
        raise MeshError("its faces have no area")
    return mesh


def leak(mesh: Trimesh) -> str | None:
    """Why a mesh does not divide inside from outside by itself; None: it does."""
    if not mesh.is_watertight:
        counts = np.unique(mesh.edges_unique_inverse, return_counts=True)[1]
        return f"not watertight: {int((counts != 2).sum()):,} of {len(counts):,} edges are not between two faces"
    if not mesh.is_winding_consistent:
        return "not watertight: neighbouring faces are turned to opposite sides"
    if sum(abs(_volume(mesh.triangles[body])) for body in _bodies(mesh)) < MIN_VOLUME:
        return "it encloses no volume"
    return None


def read_file(path: Path) -> bytes:
    """The content of a mesh file.

    Raises:
        MeshError: it cannot be read, or is too large.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise MeshError(f"{size:,} bytes are too many (at most {MAX_BYTES:,})")
        return path.read_bytes()
    except OSError as error:
        raise MeshError(f"cannot be read ({error.strerror or error})") from error


def turn_outwards(mesh: Trimesh) -> None:
    """Turns the faces of each connected body to one side, and that side outwards, except of cavities: bodies turned
    inwards that lie within another one."""
    import trimesh

    if not mesh.is_winding_consistent:
        trimesh.repair.fix_winding(mesh)
    inwards = [body for body in _bodies(mesh) if _volume(mesh.triangles[body]) < 0]
    if not inwards:
        return
    others = np.setdiff1d(np.arange(len(mesh.faces)), np.concatenate(inwards))
    shell = triangle_tree(torch.from_numpy(mesh.triangles[others])) if len(others) else None
    faces = mesh.faces.copy()
    for body in inwards:
        corners = torch.from_numpy(mesh.triangles[body][:WITNESSES].reshape(-1, 3).copy())
        if shell is None or not (winding_number(corners, shell) > 0.5).all():
            faces[body] = faces[body, ::-1]
    mesh.faces = faces


def _bodies(mesh: Trimesh) -> list[np.ndarray]:
    """Numbers of the faces of each connected body."""
    import trimesh

    nodes = np.arange(len(mesh.faces))
    return list(trimesh.graph.connected_components(mesh.face_adjacency, nodes=nodes, min_len=1))


def _volume(triangles: np.ndarray) -> float:
    """Signed volume within triangles (n, 3, 3); where they are not closed, as seen from their middle."""
    first, second, third = np.moveaxis(triangles - triangles.mean((0, 1)), 1, 0)
    return float((np.cross(first, second) * third).sum() / 6)


def _read_off(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices, and triangles; polygons are divided into fans.

    Raises:
        MeshError: no OFF file, or one that was cut.
    """
    lines = [line for raw in content.splitlines() if (line := raw.split(b"#")[0].strip())]
    head = b"\n".join(lines[:2])
    counts = re.match(rb"C?OFF\s*(\d{1,9})\s+(\d{1,9})(\s|$)", head)
    if not counts:
        raise MeshError("not an OFF file: it should begin with OFF and the counts of vertices and faces")
    vertices, faces = int(counts[1]), int(counts[2])
    body = lines[1 if b"\n" not in counts[0].strip() else 2 :]
    if len(body) < vertices + faces:
        raise MeshError(f"cut short: {vertices:,} vertices and {faces:,} faces, but only {len(body):,} lines")
    triangles = []
    for line in body[vertices : vertices + faces]:
        count, *corners = line.split()
        if not count.isdigit() or not 3 <= int(count) <= len(corners):
            raise MeshError(f"not a face: {line[:50].decode(errors='replace')!r}")
        first, *rest = (int(corner) for corner in corners[: int(count)])
        triangles += [(first, *pair) for pair in pairwise(rest)]
    points = [line.split()[:3] for line in body[:vertices]]
    return np.array(points, dtype=np.float64).reshape(-1, 3), np.array(triangles, dtype=np.int64).reshape(-1, 3)


def _read_other(content: bytes, ending: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of OBJ, STL and PLY files."""
    import trimesh

    loaded: Any = trimesh.load_mesh(io.BytesIO(content), file_type=ending[1:], process=False)
    vertices, faces = np.asarray(loaded.vertices, dtype=np.float64), np.asarray(loaded.faces, dtype=np.int64)
    claimed = re.search(rb"^element face (\d+)", content[:10_000], flags=re.MULTILINE) if ending == ".ply" else None
    if claimed and len(faces) < int(claimed[1]):
        raise MeshError(f"cut short: {int(claimed[1]):,} faces, but only {len(faces):,} are there")
    return vertices, faces
