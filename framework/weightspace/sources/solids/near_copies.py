"""Finding meshes that are nearly the same, but for their place, size or a turn around the upright axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from trimesh import Trimesh

#: Points of a surface that are looked at: quantiles err by some 0.005.
SAMPLES = 20_000
#: Quantiles of the points' distances to the upright axis and of their heights.
QUANTILES = np.linspace(0, 1, 17)[1:-1]
#: Two meshes are near-copies if no quantile differs by more; their longest side is 1.8.
TOLERANCE = 0.02


def outline(mesh: Trimesh) -> list[float]:
    """What near-copies share: how far from the upright axis, and how high, the surface is.

    Args:
        mesh: normalised, so that neither its place nor its size matters; the third coordinate is the height.

    Returns:
        15 distances and 15 heights, ascending each, rounded to 4 digits.
    """
    from trimesh.sample import sample_surface

    points, _ = sample_surface(mesh, SAMPLES, seed=0)
    columns = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
    return [round(float(value), 4) for column in columns for value in np.quantile(column, QUANTILES)]


def near_copies(outlines: Sequence[Sequence[float]]) -> np.ndarray:
    """(n,) int64 number of each mesh's group; meshes of one group are near-copies, directly or by way of others.

    >>> near_copies([[0.1, 0.2], [0.5, 0.6], [0.11, 0.2]]).tolist()
    [0, 1, 0]
    """
    points = np.array(outlines, dtype=np.float64)
    pairs = cKDTree(points).query_pairs(TOLERANCE, p=np.inf, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    _, groups = connected_components(links, directed=False)
    return np.asarray(groups, dtype=np.int64)
