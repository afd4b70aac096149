"""Reading triangle meshes from files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from weightspace.files import FileRefusedError, read_regular
from weightspace.files.limits import FACES, MESH_BYTES
from weightspace.files.reading import reading
from weightspace.sources.solids.obj import prepared_obj
from weightspace.sources.solids.off import read_off
from weightspace.sources.solids.ply import in_halves, read_ply
from weightspace.sources.solids.polygons import MeshError, triangulate
from weightspace.sources.solids.triangles import inside, to_one_side

if TYPE_CHECKING:
    from trimesh import Trimesh

ENDINGS = frozenset({".off", ".obj", ".stl", ".ply"})
#: Less than a grain of the cube: a mesh of faces that lie on one another.
MIN_VOLUME = 1e-9
#: Number of faces of a body whose corners are tested for being inside another one.
WITNESSES = 64
#: Half of a mesh's longest side, after it is normalised.
REACH = 0.9


def parse_mesh(content: bytes, ending: str, crossed: bool = False) -> Trimesh:
    """Reads a mesh, moves and scales its bounding box to the longest side [-0.9, 0.9], and merges equal vertices.

    Args:
        content: of the file. Materials and textures beside it are not looked for.
        ending: ".off", ".obj", ".stl" or ".ply".
        crossed: take OBJ files with faces that cross themselves, which then cover another area than they say.

    Raises:
        MeshError: it is not a usable mesh; the message says why.
    """
    import trimesh

    if len(content) > MESH_BYTES:
        raise MeshError(f"{len(content):,} bytes are too many (at most {MESH_BYTES:,})")

    def refuse(error: Exception) -> MeshError:
        return MeshError(f"cannot be read ({type(error).__name__}: {str(error).strip()[:200]})")

    with reading(refuse, passed=(MeshError, MemoryError, ImportError)):  # said already, or no fault of the file
        vertices, faces = _read(content, ending, crossed)
    if not len(faces) or faces.ndim != 2:
        raise MeshError("has no faces")
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise MeshError("has vertices without three coordinates")
    if len(faces) > FACES:
        raise MeshError(f"{len(faces):,} faces are too many (at most {FACES:,})")
    if faces.min() < 0 or faces.max() >= len(vertices):
        wrong = faces.min() if faces.min() < 0 else faces.max()
        raise MeshError(f"a face names vertex {wrong} of {len(vertices)}")
    if not np.isfinite(vertices[faces]).all():
        raise MeshError("has vertices that are not finite numbers")
    used = np.unique(faces)  # the others may lie anywhere
    vertices, faces = vertices[used], np.searchsorted(used, faces)
    mesh = trimesh.Trimesh(normalise(vertices), faces, process=True)
    if not (whole := np.diff(np.sort(mesh.faces, axis=1), axis=1).all(1)).all():
        mesh.update_faces(whole)  # of two corners, that is, at most: their edges would seem to be between others
    if not mesh.area > 0:
        raise MeshError("its faces have no area")
    return mesh


def normalise(vertices: np.ndarray) -> np.ndarray:
    """Moves and scales vertices (V, 3) so that the longest side of their bounding box is [-0.9, 0.9].

    Raises:
        MeshError: that side has no length, or one that is out of range.
    """
    low, high = vertices.min(0), vertices.max(0)
    size = float((high / 2 - low / 2).max())
    if not 1e-100 < size < 1e100:
        raise MeshError(f"its longest side is {2 * size:g}")
    result: np.ndarray = (vertices - (low / 2 + high / 2)) * (REACH / size)
    return result


def leak(mesh: Trimesh) -> str | None:
    """Why a mesh is not watertight; None if it is."""
    if not mesh.is_watertight:
        counts = np.unique(mesh.edges_unique_inverse, return_counts=True)[1]
        return f"not watertight: {int((counts != 2).sum()):,} of {len(counts):,} edges are not between two faces"
    if not mesh.is_winding_consistent:
        return "not watertight: neighbouring faces are turned to opposite sides"
    if sum(abs(_volume(mesh.triangles[body])) for body in _bodies(mesh)) < MIN_VOLUME:
        return "it encloses no volume"
    return None


def read_file(path: Path) -> bytes:
    """Reads the content of a mesh file.

    Raises:
        MeshError: it cannot be read, or is too large.
    """
    try:
        return read_regular(path, MESH_BYTES)
    except FileRefusedError as error:
        raise MeshError(error.strerror) from error
    except OSError as error:
        raise MeshError(f"cannot be read ({error.strerror or error})") from error


def turn_outwards(mesh: Trimesh) -> None:
    """Turns the faces of each connected body to one side, and that side outwards, except of cavities: bodies turned
    inwards that lie within another one."""
    if not mesh.is_winding_consistent:
        mesh.faces = to_one_side(np.array(mesh.faces, dtype=np.int64))
    inwards = [body for body in _bodies(mesh) if _volume(mesh.triangles[body]) < 0]
    if not inwards:
        return
    others = np.setdiff1d(np.arange(len(mesh.faces)), np.concatenate(inwards))
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64)
    shell = faces[others]
    corners = [mesh.triangles[body][:WITNESSES].reshape(-1, 3) for body in inwards]
    likely = np.flatnonzero(_within([part[:1] for part in corners], vertices, shell))  # most bodies have one outside
    cavities = {
        int(body)
        for body, lies in zip(likely, _within([corners[i] for i in likely], vertices, shell), strict=True)
        if lies
    }
    for number, body in enumerate(inwards):
        if number not in cavities:
            faces[body] = faces[body, ::-1]
    mesh.faces = faces


def _within(parts: list[np.ndarray], vertices: np.ndarray, shell: np.ndarray) -> list[bool]:
    """Whether all points of each part are within the faces of a shell, all in one go."""
    if not parts or not len(shell):
        return [False] * len(parts)
    within, _ = inside(torch.from_numpy(np.concatenate(parts)), vertices, shell)
    return [bool(one.all()) for one in within.split([len(part) for part in parts])]


def _bodies(mesh: Trimesh) -> list[np.ndarray]:
    """Numbers of the faces of each connected body."""
    import trimesh

    nodes = np.arange(len(mesh.faces))
    return list(trimesh.graph.connected_components(mesh.face_adjacency, nodes=nodes, min_len=1))


def _volume(triangles: np.ndarray) -> float:
    """Signed volume inside triangles (n, 3, 3), relative to their centre if they are not closed."""
    first, second, third = np.moveaxis(triangles - triangles.mean((0, 1)), 1, 0)
    return float((np.cross(first, second) * third).sum() / 6)


def _read(content: bytes, ending: str, crossed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Reads vertices and triangles."""
    if ending == ".off":
        points, corners, lengths = read_off(content)
        return points, triangulate(points, corners, lengths)
    if ending == ".ply":
        points, corners, lengths = read_ply(content)
        return points, in_halves(triangulate(points, corners, lengths), lengths)
    return _read_by_trimesh(prepared_obj(content, crossed) if ending == ".obj" else _counted_stl(content), ending)


def _counted_stl(content: bytes) -> bytes:
    """The content of an STL file, binary or text, if it does not have too many faces."""
    binary = len(content) >= 84 and 84 + 50 * int.from_bytes(content[80:84], "little") == len(content)
    count = (len(content) - 84) // 50 if binary else len(re.findall(rb"vertex", content, re.IGNORECASE)) // 3
    if count > FACES:
        raise MeshError(f"{count:,} faces are too many (at most {FACES:,})")
    return content


def _read_by_trimesh(content: bytes, ending: str) -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    loaded: Any = trimesh.load_mesh(io.BytesIO(content), file_type=ending[1:], process=False)
    return np.asarray(loaded.vertices, dtype=np.float64), np.asarray(loaded.faces, dtype=np.int64)
