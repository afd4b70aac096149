"""Reading triangle meshes from files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from weightspace.files import FileRefusedError, read_regular
from weightspace.files.limits import FACES, MESH_BYTES
from weightspace.files.reading import reading
from weightspace.sources.solids.obj import read_obj
from weightspace.sources.solids.off import read_off
from weightspace.sources.solids.ply import in_halves, read_ply
from weightspace.sources.solids.polygons import MeshError, triangulate
from weightspace.sources.solids.triangles import inside, to_one_side

if TYPE_CHECKING:
    from trimesh import Trimesh

ENDINGS = frozenset({".off", ".obj", ".stl", ".ply"})
#: Less than a grain of the cube: a mesh of faces that lie on one another.
MIN_VOLUME = 1e-9
#: An open body of less volume, relative to its area to the power of 1.5, is nearly flat: half a ball has 0.1.
FLAT = 0.01
#: Volumes that are nothing but rounding.
ROUNDING = 1e-13
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
    if np.abs(_volumes(mesh.triangles, *_bodies(mesh))).sum() < MIN_VOLUME:
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
    """Turns the faces of each connected body to one side, and that side outwards.

    Cavities, bodies turned inwards that lie within another one, stay as they are, and so do open bodies that are nearly
    flat, as parts of a surface that share no vertices: these have no inner side of their own.
    """
    if not mesh.is_winding_consistent:
        mesh.faces = to_one_side(np.array(mesh.faces, dtype=np.int64))
    bodies, count = _bodies(mesh)
    flat = np.where(_are_open(mesh, bodies, count), FLAT * np.bincount(bodies, mesh.area_faces, count) ** 1.5, ROUNDING)
    inwards = _volumes(mesh.triangles, bodies, count) < -flat
    if not inwards.any():
        return
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64)
    turned = inwards[bodies]
    shell, triangles = faces[~turned], mesh.triangles
    members = _faces_of(bodies, inwards)
    corners = [triangles[body[:WITNESSES]].reshape(-1, 3) for body in members]
    likely = np.flatnonzero(_within([part[:1] for part in corners], vertices, shell))  # most bodies have one outside
    cavities = {
        int(body)
        for body, lies in zip(likely, _within([corners[i] for i in likely], vertices, shell), strict=True)
        if lies
    }
    kept = [body for number, body in enumerate(members) if number in cavities]
    turned[np.concatenate([np.arange(0), *kept])] = False
    faces[turned] = faces[turned, ::-1]
    mesh.faces = faces


def _within(parts: list[np.ndarray], vertices: np.ndarray, shell: np.ndarray) -> list[bool]:
    """Whether all points of each part are within the faces of a shell, all in one go."""
    if not parts or not len(shell):
        return [False] * len(parts)
    within, _ = inside(torch.from_numpy(np.concatenate(parts)), vertices, shell)
    return [bool(one.all()) for one in within.split([len(part) for part in parts])]


def _bodies(mesh: Trimesh) -> tuple[np.ndarray, int]:
    """(F,) number of each face's connected body, and how many there are."""
    pairs, count = np.asarray(mesh.face_adjacency), len(mesh.faces)
    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    bodies, numbers = connected_components(links, directed=False)
    return np.asarray(numbers), int(bodies)


def _are_open(mesh: Trimesh, bodies: np.ndarray, count: int) -> np.ndarray:
    """(count,) whether a body has an edge of one face alone."""
    neighbours = np.bincount(np.asarray(mesh.face_adjacency).ravel(), minlength=len(mesh.faces))
    result = np.zeros(count, dtype=bool)
    result[bodies[neighbours < 3]] = True
    return result


def _faces_of(bodies: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """Numbers of the faces of each chosen body."""
    faces = np.flatnonzero(chosen[bodies])
    order = faces[np.argsort(bodies[faces], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(bodies[order])) + 1)


def _volumes(triangles: np.ndarray, bodies: np.ndarray, count: int) -> np.ndarray:
    """(count,) signed volumes inside the triangles (F, 3, 3) of bodies, relative to the centres of those not closed."""
    sums = np.stack([np.bincount(bodies, triangles[..., axis].sum(1), count) for axis in range(3)], axis=1)
    centres = sums / (3 * np.bincount(bodies, minlength=count))[:, None]
    first, second, third = np.moveaxis(triangles - centres[bodies, None], 1, 0)
    return np.bincount(bodies, (np.cross(first, second) * third).sum(1), count) / 6


def _read(content: bytes, ending: str, crossed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Reads vertices and triangles."""
    if ending == ".off":
        points, corners, lengths = read_off(content)
        return points, triangulate(points, corners, lengths)
    if ending == ".ply":
        points, corners, lengths = read_ply(content)
        return points, in_halves(triangulate(points, corners, lengths), lengths)
    if ending == ".obj":
        points, corners, lengths = read_obj(content)
        return points, triangulate(points, corners, lengths, crossed)
    return _read_stl(_counted_stl(content))


def _counted_stl(content: bytes) -> bytes:
    """The content of an STL file, binary or text, if it does not have too many faces."""
    binary = len(content) >= 84 and 84 + 50 * int.from_bytes(content[80:84], "little") == len(content)
    count = (len(content) - 84) // 50 if binary else len(re.findall(rb"vertex", content, re.IGNORECASE)) // 3
    if count > FACES:
        raise MeshError(f"{count:,} faces are too many (at most {FACES:,})")
    return content


def _read_stl(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    loaded: Any = trimesh.load_mesh(io.BytesIO(content), file_type="stl", process=False)
    return np.asarray(loaded.vertices, dtype=np.float64), np.asarray(loaded.faces, dtype=np.int64)
