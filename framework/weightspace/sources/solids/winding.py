"""The generalised winding number, which defines the inside of a surface even if it has holes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from weightspace.sources.solids.triangle_tree import Cluster

#: Points x triangles that are looked at together: some 2 MB per intermediate result.
CHUNK = 2**18


def winding_number(points: Tensor, surface: Cluster, far: float = 3.0) -> Tensor:
    """Winding number of a surface around each point: the sum of the triangles' solid angles over 4 pi.

    A closed surface whose faces are turned outwards gives 1 inside and 0 outside; through a hole, the number goes from
    one to the other continuously (Jacobson, Kavan and Sorkine-Hornung 2013, eq. 5).

    Args:
        points: (N, 3) float64, not on the surface: there, the number is between those of the two sides.
        surface: ``triangle_tree`` of triangles whose corners go anticlockwise as seen from outside.
        far: a cluster counts as one dipole from more than ``far`` radii (Barill et al. 2018, eq. 3): by 3, numbers err
            by a few hundredths per layer of surface; inf is exact, and costs points x triangles.

    Returns:
        (N,).

    >>> from weightspace.sources.solids.triangle_tree import triangle_tree
    >>> corners = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).double()
    >>> tetrahedron = triangle_tree(corners[torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])])
    >>> winding_number(torch.tensor([[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]]).double(), tetrahedron).abs().round(decimals=9)
    tensor([1., 0.], dtype=torch.float64)
    """
    if surface.triangles is not None:
        return _exact(points, surface.triangles)
    away = surface.centre - points
    distance = away.norm(dim=1)
    near = distance <= far * surface.radius
    number = away @ surface.area / (4 * math.pi * distance.clamp(min=1e-100) ** 3)
    rows = near.nonzero().flatten()
    if len(rows):
        number[rows] = sum(winding_number(points[rows], part, far) for part in surface.parts)
    return number


def _exact(points: Tensor, triangles: Tensor) -> Tensor:
    """(N,) from the triangles' solid angles by Van Oosterom and Strackee 1983, eq. 8.

    All products of differences to the point come from distances and one matrix product.
    """
    a, b, c = triangles.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    offset = (a * normal).sum(1)
    ab, bc, ca = ((p - q).square().sum(1) for p, q in ((a, b), (b, c), (c, a)))
    parts = []
    for part in points.split(max(1, CHUNK // len(triangles))):
        la, lb, lc = (torch.cdist(part, p, compute_mode="donot_use_mm_for_euclid_dist") for p in (a, b, c))
        qa, qb, qc = la.square(), lb.square(), lc.square()
        volume = offset - part @ normal.T
        solid = la * lb * lc + ((qa + qb - ab) * lc + (qb + qc - bc) * la + (qc + qa - ca) * lb) / 2
        parts.append(torch.atan2(volume, solid).sum(1))
    return torch.cat(parts) / (2 * math.pi)
