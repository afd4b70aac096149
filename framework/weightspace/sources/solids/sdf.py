"""Exact signed distances to solids: negative inside, in units of the coordinates.

All are exact inside and outside. The minimum of several is exact, too, where the solids do not touch one another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def box(p: Tensor, half: tuple[float, float, float], centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    """(N,) distances of points (N, 3) to a box with these half widths, axis-aligned."""
    q = (p - p.new_tensor(centre)).abs() - p.new_tensor(half)
    return q.clamp(min=0).norm(dim=1) + q.amax(1).clamp(max=0)


def torus(p: Tensor, major: float, minor: float) -> Tensor:
    """(N,) distances to a torus around the z axis: radius of the ring, and of the tube."""
    ring = p[:, :2].norm(dim=1) - major
    return torch.stack([ring, p[:, 2]], dim=1).norm(dim=1) - minor


def arc(p: Tensor, aperture: float, major: float, minor: float) -> Tensor:
    """(N,) distances to a part of a torus with round ends, in the x-y plane, symmetric around the y axis.

    Args:
        p: (N, 3) points.
        aperture: half the arc's angle, in (0, pi), radians.
        major: radius of the ring.
        minor: radius of the tube.
    """
    x, y, z = p[:, 0].abs(), p[:, 1], p[:, 2]
    sine, cosine = math.sin(aperture), math.cos(aperture)
    past_the_end = cosine * x > sine * y
    end = torch.stack([x - major * sine, y - major * cosine, z], dim=1).norm(dim=1)
    ring = torch.stack([torch.hypot(x, y) - major, z], dim=1).norm(dim=1)
    return torch.where(past_the_end, end, ring) - minor


def polygon(q: Tensor, corners: Tensor) -> Tensor:
    """(N,) distances of points (N, 2) to a simple polygon with corners (V, 2), in either direction."""
    following = corners.roll(-1, 0)
    edge = following - corners  # (V, 2)
    relative = q[:, None] - corners  # (N, V, 2)
    along = ((relative * edge).sum(2) / edge.square().sum(1)).clamp(0, 1)
    distance = (relative - along[..., None] * edge).norm(dim=2).amin(1)
    # a ray to the right crosses the outline an odd number of times from inside
    height = q[:, None, 1]
    spans = (corners[:, 1] > height) != (following[:, 1] > height)
    slope = edge[:, 0] / torch.where(edge[:, 1] == 0, 1, edge[:, 1])
    crosses = spans & (relative[..., 0] < slope * relative[..., 1])
    return torch.where(crosses.sum(1) % 2 == 1, -distance, distance)


def extrude(p: Tensor, corners: Tensor, half: float) -> Tensor:
    """(N,) distances to a prism: a polygon in the x-y plane, from -half to half along z."""
    side, cap = polygon(p[:, :2], corners), p[:, 2].abs() - half
    outside = torch.stack([side.clamp(min=0), cap.clamp(min=0)], dim=1).norm(dim=1)
    return outside + torch.maximum(side, cap).clamp(max=0)


def revolve(p: Tensor, profile: Tensor) -> Tensor:
    """(N,) distances to a solid of revolution around the z axis.

    Args:
        p: (N, 3) points.
        profile: (V, 2) radii and heights. Where it begins and ends with radius 0, the solid reaches the axis there;
            else it is a closed outline beside the axis.
    """
    flat = torch.stack([p[:, :2].norm(dim=1), p[:, 2]], dim=1)
    if profile[0, 0] == 0 and profile[-1, 0] == 0:
        mirrored = profile[1:-1].flip(0) * profile.new_tensor([-1.0, 1.0])
        profile = torch.cat([profile, mirrored])
    return polygon(flat, profile)
