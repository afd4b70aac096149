"""Exact distances from points to triangles."""

from __future__ import annotations

import math

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from weightspace.sources.solids.triangle_tree import Cluster

#: Points x triangles that are looked at together: some 2 MB per intermediate result.
CHUNK = 2**18


def surface_distance(points: Tensor, surface: Cluster, witnesses: Tensor, limit: float = math.inf) -> Tensor:
    """Distances to the nearest point of any triangle.

    A cluster of triangles is searched only for points that have no nearer known point of the surface.

    Args:
        points: (N, 3) float64.
        surface: ``triangle_tree``; triangles may be degenerate.
        witnesses: (M, 3) float64 points of the surface: the denser, the faster.
        limit: larger distances may come out too large.

    Returns:
        (N,), right to about 1e-8 of the largest coordinate.
    """
    best = torch.from_numpy(cKDTree(witnesses.numpy()).query(points.numpy())[0])
    _improve(best, torch.arange(len(points)), points, surface, limit)
    return best


def _improve(best: Tensor, rows: Tensor, points: Tensor, cluster: Cluster, limit: float) -> None:
    """Lowers ``best`` at points to which a triangle of the cluster is nearer."""
    here = points[rows]
    gap = torch.maximum(cluster.low - here, here - cluster.high).clamp(min=0).square().sum(1)
    rows = rows[gap < best[rows].clamp(max=limit).square()]
    if not len(rows):
        return
    for part in cluster.parts:
        _improve(best, rows, points, part, limit)
    if cluster.triangles is not None:
        for some in rows.split(max(1, CHUNK // len(cluster.triangles))):
            best[some] = torch.minimum(best[some], triangle_distances(points[some], cluster.triangles).amin(1))


def triangle_distances(points: Tensor, triangles: Tensor) -> Tensor:
    """(N, F) distances from points (N, 3) to triangles (F, 3, 3).

    To the plane, where the point is above the triangle; else to the nearest edge.
    """
    corners = triangles.unbind(1)
    normal = torch.linalg.cross(corners[1] - corners[0], corners[2] - corners[0])
    size = normal.norm(dim=1)
    squares, above = [], size > 0
    for here, there in zip(corners, (*corners[1:], corners[0]), strict=True):
        edge, square = there - here, torch.cdist(points, here).square()
        length = edge.square().sum(1)
        along = points @ edge.T - (here * edge).sum(1)
        t = (along / length.clamp(min=1e-300)).clamp(0, 1)
        squares.append(square - t * (2 * along - t * length))
        inward = torch.linalg.cross(normal, edge)
        above = above & (points @ inward.T >= (here * inward).sum(1))
    nearest = torch.stack(squares).amin(0).clamp(min=0).sqrt()
    height = ((points @ normal.T - (corners[0] * normal).sum(1)) / size.clamp(min=1e-300)).abs()
    return torch.where(above, height, nearest)
