"""A tree of clusters of triangles, so that distant clusters are handled as one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Triangles in a leaf, at most.
LEAF = 64


@dataclass(frozen=True)
class Cluster:
    """A cluster of nearby triangles.

    Args:
        triangles: (n, 3, 3) corners, in a leaf; None above.
        parts: the two halves; none in a leaf.
        low, high: (3,) corners of the bounding box.
        centre: (3,) mean of the triangles' centres, weighted by area.
        radius: largest distance of a corner to the centre.
        area: (3,) sum of the triangles' area vectors.
    """

    triangles: Tensor | None
    parts: tuple[Cluster, ...]
    low: Tensor
    high: Tensor
    centre: Tensor
    radius: float
    area: Tensor


def triangle_tree(triangles: Tensor) -> Cluster:
    """Halves triangles (F, 3, 3), F >= 1, float64, along the longest side of their centres' box, again and again."""
    centres = triangles.mean(1)
    areas = torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2
    weights = areas.norm(dim=1)
    centre = weights @ centres / weights.sum() if weights.sum() > 0 else centres.mean(0)
    radius = float((triangles - centre).norm(dim=2).max())
    box = triangles.amin((0, 1)), triangles.amax((0, 1))
    if len(triangles) <= LEAF:
        return Cluster(triangles, (), *box, centre, radius, areas.sum(0))
    axis = int((centres.amax(0) - centres.amin(0)).argmax())
    order = centres[:, axis].argsort(stable=True)
    parts = tuple(triangle_tree(triangles[half]) for half in order.tensor_split(2))
    return Cluster(None, parts, *box, centre, radius, areas.sum(0))
