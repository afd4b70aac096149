"""Polygons in space, divided into triangles that cover the same area."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from weightspace.files.limits import CONCAVE_CORNERS, CONCAVE_FACE

#: Share of a polygon's area that triangles may cover twice, or not at all: what corners on a line have by rounding.
TOLERANCE = 1e-6
#: Polygons of less area, relative to the square of their extent, have no plane.
FLAT = 1e-12
#: Up to so many corners, fans from every corner are tried before ears are clipped.
FANS = 16
#: How often all corners that are left are looked at again, where none of those that have changed is an ear.
LOOKS = 100


class MeshError(ValueError):
    """The content of a mesh file is not usable."""


def triangulate(points: np.ndarray, corners: np.ndarray, lengths: np.ndarray, crossed: bool = False) -> np.ndarray:
    """Divides polygons into ``k - 2`` triangles for ``k`` corners: a fan from the first one where it keeps the area.

    Args:
        points: (V, 3) float64.
        corners: (C,) int64 indices of points, polygon after polygon.
        lengths: (n,) int64 numbers of corners, each >= 3.
        crossed: divide a polygon that crosses itself as a fan from its first corner, instead of refusing it.

    Returns:
        (C - 2n, 3) int64 indices of points, in the polygons' order.

    Raises:
        MeshError: a corner is no point; a polygon crosses itself; too many corners are in polygons that no fan divides;
            points that are not finite.

    >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    >>> triangulate(square, np.arange(4), np.array([4])).tolist()
    [[0, 1, 2], [0, 2, 3]]
    """
    if len(corners) and not 0 <= corners.min() <= corners.max() < len(points):
        raise MeshError(f"a face names vertex {corners.min() if corners.min() < 0 else corners.max()} of {len(points)}")
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths - 2)
    found: np.ndarray = corners[starts[:, None] + _divisions(points, corners, lengths, crossed)]
    return found


def _divisions(points: np.ndarray, corners: np.ndarray, lengths: np.ndarray, crossed: bool) -> np.ndarray:
    """As ``triangulate``, with indices into each polygon's own corners, 0 ... k - 1: (C - 2n, 3).

    Raises:
        MeshError: see there.
    """
    starts, counts = np.cumsum(lengths) - lengths, lengths - 2
    first = np.cumsum(counts) - counts
    step = np.arange(int(counts.sum())) - np.repeat(first, counts)
    places = np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)
    if (lengths > 3).any() and not np.isfinite(points[corners]).all():
        raise MeshError("has vertices that are not finite numbers")
    ears = 0
    for size in np.unique(lengths[lengths > 3]).tolist():
        number = np.flatnonzero(lengths == size)
        flat, areas = projected(points[corners[starts[number, None] + np.arange(size)]])
        for corner in range(size if size <= FANS else 1):
            kept = keeps_area(flat, areas, corner)
            if corner:
                rows = first[number[kept], None] + np.arange(size - 2)
                places[rows] = (places[rows] + corner) % size
            number, flat, areas = number[~kept], flat[~kept], areas[~kept]
        ears += size * len(number)
        if ears > CONCAVE_CORNERS or (len(number) and size > CONCAVE_FACE):
            raise MeshError(
                f"faces that are not convex have too many corners (at most {CONCAVE_FACE:,} in one, "
                f"{CONCAVE_CORNERS:,} in all)"
            )
        for polygon, outline, area in zip(number, flat, areas, strict=True):
            try:
                places[first[polygon] : first[polygon] + size - 2] = clip_ears(outline, float(area))
            except MeshError:
                if not crossed:
                    raise
    return places


def projected(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polygons (n, k, 3) along the axis that is nearest to their normals: (n, k, 2), counterclockwise; and their areas
    (n,), 0 for those that have no plane."""
    relative = points - points[:, :1]
    normals = np.cross(relative[:, 1:-1], relative[:, 2:]).sum(1) / 2
    axis = np.abs(normals).argmax(1)
    rows = np.arange(len(points))
    signed = normals[rows, axis]
    pair = np.where(signed < 0, [[2], [1]], [[1], [2]])  # the other two axes, so that the area is positive
    flat = relative[rows[:, None, None], np.arange(points.shape[1])[:, None], ((axis + pair) % 3).T[:, None]]
    areas = np.abs(signed)
    extent = np.abs(relative).max((1, 2))
    return flat, np.where(areas > FLAT * extent * extent, areas, 0)


def keeps_area(flat: np.ndarray, areas: np.ndarray, corner: int) -> np.ndarray:
    """(n,) Whether fans of polygons (n, k, 2) from one corner cover their areas: no triangle is turned over.

    Those without an area (0) have nothing to lose.
    """
    turned = np.roll(flat, -corner, axis=1)
    spokes = turned[:, 1:] - turned[:, :1]
    parts = cross(spokes[:, :-1], spokes[:, 1:]) / 2
    result: np.ndarray = (parts >= -TOLERANCE * areas[:, None]).all(1) | (areas == 0)
    return result


def clip_ears(outline: np.ndarray, area: float) -> np.ndarray:
    """Divides a simple polygon by clipping ears: corners whose triangle holds no other corner.

    Args:
        outline: (k, 2), counterclockwise; corners may lie on one another, as bridges to holes have them.
        area: of the polygon, > 0.

    Returns:
        (k - 2, 3) numbers of corners.

    Raises:
        MeshError: the triangles would not cover the area, as the polygon crosses itself.
    """
    size = len(outline)
    after, before = np.roll(np.arange(size), -1), np.roll(np.arange(size), 1)
    alive = np.ones(size, dtype=bool)

    def corner_area(corner: int) -> float:
        middle = outline[corner]
        return float(cross(middle - outline[before[corner]], outline[after[corner]] - middle)) / 2

    def is_ear(corner: int) -> bool:
        if corner_area(corner) <= 0:
            return False
        triangle = outline[[before[corner], corner, after[corner]]]
        others = outline[alive]
        inside = np.ones(len(others), dtype=bool)
        for start, end in zip(triangle, np.roll(triangle, -1, axis=0), strict=True):
            inside &= (cross(end - start, others - start) >= 0) & (others != start).any(1)
        return not inside.any()

    triangles: list[tuple[int, int, int]] = []
    waiting, looks = list(range(size)), 0
    while len(triangles) < size - 2:
        ear = next((corner for corner in _popped(waiting) if alive[corner] and is_ear(corner)), None)
        if ear is None:  # all were looked at: again, as others are gone
            rest, looks = np.flatnonzero(alive), looks + 1
            spokes = outline[rest[1:]] - outline[rest[0]]
            if cross(spokes[:-1], spokes[1:]).sum() / 2 <= area * TOLERANCE:  # nothing is left but a line
                triangles += [(int(rest[0]), int(one), int(two)) for one, two in pairwise(rest[1:])]
                break
            ear = next((corner for corner in rest.tolist() if is_ear(corner)), None)
            if ear is None:  # a corner on a line, or on another corner
                ear = min(rest.tolist(), key=lambda corner: abs(corner_area(corner)))
            if looks > LOOKS or (abs(corner_area(ear)) > area * TOLERANCE and not is_ear(ear)):
                raise MeshError(f"a face with {size:,} corners crosses itself")
        left, right = int(before[ear]), int(after[ear])
        triangles.append((left, ear, right))
        alive[ear], after[left], before[right] = False, right, left
        waiting += [left, right]
    found = np.array(triangles)
    first, second, third = np.moveaxis(outline[found], 1, 0)
    if np.abs(cross(second - first, third - first)).sum() / 2 > area * (1 + TOLERANCE):
        raise MeshError(f"a face with {size:,} corners crosses itself")
    return found


def _popped(waiting: list[int]) -> Iterator[int]:
    while waiting:
        yield waiting.pop()


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(...) Areas of the parallelograms between vectors (..., 2), positive where the second is to the left."""
    result: np.ndarray = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return result
