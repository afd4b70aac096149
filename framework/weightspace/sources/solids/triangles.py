"""Distances and winding numbers of triangle meshes, by libigl."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weightspace.errors import MissingExtraError

#: Triangles of less height, relative to their longest side, count as that side: libigl would divide by their area.
FLAT = 1e-10
#: Approximate winding numbers nearer to one half are computed exactly: those of 25 models erred by up to 0.08.
MARGIN = 0.2


def require_geometry(source: str) -> None:
    """Checks that the packages are installed that read meshes and measure them.

    Args:
        source: name of the source that needs them, for the message.

    Raises:
        MissingExtraError: one of them is not.
    """
    package = "trimesh"
    try:
        import trimesh

        package = "libigl"
        import igl
    except ImportError as error:
        raise MissingExtraError(package, "shapes", f"the source {source!r}") from error
    del trimesh, igl


def surface_distance(points: Tensor, vertices: np.ndarray, faces: np.ndarray) -> Tensor:
    """Distances to the nearest point of any triangle.

    Args:
        points: (N, 3) float64.
        vertices: (V, 3) float64.
        faces: (F, 3) int64 numbers of vertices, F >= 1; triangles may be degenerate.

    Returns:
        (N,), right to about 1e-9 of the largest coordinate.
    """
    import igl

    squares, _, _ = igl.point_mesh_squared_distance(points.numpy(), vertices, _with_sides(vertices, faces))
    return torch.from_numpy(squares).sqrt()


def winding_number(points: Tensor, vertices: np.ndarray, faces: np.ndarray) -> Tensor:
    """Winding number of a surface around each point: the sum of the triangles' solid angles over 4 pi.

    A closed surface whose faces are turned outwards gives 1 inside and 0 outside; through a hole, the number goes from
    one to the other continuously (Jacobson, Kavan and Sorkine-Hornung 2013, eq. 5).

    Args:
        points: (N, 3) float64, not on the surface: there, the number is between those of the two sides.
        vertices: (V, 3) float64.
        faces: (F, 3) int64 numbers of vertices, F >= 1, anticlockwise as seen from outside.

    Returns:
        (N,).

    >>> corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    >>> tetrahedron = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    >>> points = torch.tensor([[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]]).double()
    >>> winding_number(points, corners, tetrahedron).abs().round(decimals=9)
    tensor([1., 0.], dtype=torch.float64)
    """
    import igl

    return torch.from_numpy(igl.winding_number(vertices, faces, points.numpy()))


def inside(points: Tensor, vertices: np.ndarray, faces: np.ndarray) -> tuple[Tensor, Tensor]:
    """Whether the winding number is above one half, and whether it is below minus one half: turned inside out.

    libigl's approximation (Barill et al. 2018) decides where it is far from both; elsewhere the exact number does.

    Args:
        points, vertices, faces: see ``winding_number``.

    Returns:
        (N,) and (N,) bool.
    """
    import igl

    number = torch.from_numpy(igl.fast_winding_number(vertices, faces, points.numpy()))
    unsure = ~((number.abs() - 0.5).abs() > MARGIN)  # also what is no number
    if unsure.any():
        number[unsure] = winding_number(points[unsure], vertices, faces)
    return number > 0.5, number < -0.5


def to_one_side(faces: np.ndarray) -> np.ndarray:
    """Faces (F, 3) int64, of which those that are connected by edges between two faces are turned to one side."""
    import igl

    turned, _ = igl.bfs_orient(faces)
    return np.asarray(turned, dtype=np.int64)


def _with_sides(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces, of which degenerate ones are replaced by their longest side (i, j, j), which libigl takes for a line."""
    corners = vertices[faces]
    sides = np.roll(corners, -1, axis=1) - corners
    squares = (sides**2).sum(2)
    longest = squares.argmax(1)
    doubled = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    flat = np.flatnonzero(doubled <= FLAT * squares.max(1))
    if not len(flat):
        return faces
    changed = faces.copy()
    start, end = faces[flat, longest[flat]], faces[flat, (longest[flat] + 1) % 3]
    changed[flat] = np.stack([start, end, end], axis=1)
    return changed
