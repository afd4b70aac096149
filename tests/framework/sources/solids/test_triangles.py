"""Geometry of triangle meshes: winding numbers and distances, against exact solids and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from weightspace.sources.solids.nearest import surface_distance, triangle_distances
from weightspace.sources.solids.sdf import box
from weightspace.sources.solids.triangle_tree import Cluster, triangle_tree
from weightspace.sources.solids.winding import winding_number

MESHES = {
    "box": lambda: trimesh.creation.box((1.8, 1.1, 0.3)),
    "sphere": lambda: trimesh.creation.icosphere(subdivisions=4, radius=0.8),
    "torus": lambda: trimesh.creation.torus(0.6, 0.2, major_sections=60, minor_sections=30),
    "cylinder with slivers": lambda: trimesh.creation.cylinder(0.5, 1.6, sections=300),
}


def corners(mesh: trimesh.Trimesh) -> Tensor:
    return torch.from_numpy(np.array(mesh.triangles))


def random_points(count: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1


@pytest.mark.parametrize("name", MESHES)
def test_winding_number_of_closed_meshes(name: str) -> None:
    mesh, points = MESHES[name](), random_points(3000)
    tree = triangle_tree(corners(mesh))
    exact = winding_number(points, tree, math.inf)
    assert (exact - exact.round()).abs().max() < 1e-9
    volume = float((exact.round() == 1).double().mean()) * 8
    assert volume == pytest.approx(mesh.volume, rel=0.2)
    assert set(exact.round().tolist()) == {0.0, 1.0}
    assert (winding_number(points, tree) - exact).abs().max() < 0.1
    turned = triangle_tree(corners(mesh).flip(1))
    assert torch.allclose(winding_number(points, turned, math.inf), -exact, atol=1e-9)


def test_winding_number_of_open_surfaces() -> None:
    cube = trimesh.creation.box((1, 1, 1))
    sides = [corners(cube)[cube.face_normals @ axis > 0.9] for axis in np.concatenate([np.eye(3), -np.eye(3)])]
    centre = torch.zeros(1, 3, dtype=torch.float64)
    for side in sides:
        assert float(winding_number(centre, triangle_tree(side))) == pytest.approx(1 / 6)
    sphere = corners(trimesh.creation.icosphere(subdivisions=5))
    upper = sphere[sphere[..., 2].amin(1) >= 0]
    assert float(winding_number(centre, triangle_tree(upper), math.inf)) == pytest.approx(0.5, abs=0.02)


class AngleCount(TorchDispatchMode):
    """Counts solid angles: results of atan2."""

    def __init__(self) -> None:
        super().__init__()
        self.angles = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.atan2.default:
            self.angles += result.numel()
        return result


def test_dipoles_need_few_triangles() -> None:
    """What is far is not looked at: otherwise large meshes would cost points times triangles."""
    tree, points = triangle_tree(corners(trimesh.creation.icosphere(subdivisions=5))), random_points(50)
    with AngleCount() as few:
        winding_number(points, tree)
    with AngleCount() as all_of_them:
        winding_number(points, tree, math.inf)
    assert all_of_them.angles == 50 * 20480
    assert 0 < few.angles < 0.15 * all_of_them.angles


def test_the_tree_holds_every_triangle_once() -> None:
    triangles = torch.rand(1000, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def leaves(cluster: Cluster) -> list[Tensor]:
        assert (cluster.triangles is None) == (len(cluster.parts) == 2)
        inside = [part for half in cluster.parts for part in leaves(half)]
        found = inside if cluster.triangles is None else [cluster.triangles]
        together = torch.cat(found)
        assert torch.equal(together.amin((0, 1)), cluster.low)
        assert torch.equal(together.amax((0, 1)), cluster.high)
        assert float((together - cluster.centre).norm(dim=2).max()) == pytest.approx(cluster.radius)
        return found

    together = torch.cat(leaves(triangle_tree(triangles))).reshape(-1, 9)
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, triangles.reshape(-1, 9).tolist()))


def test_distances_to_a_box_are_exact() -> None:
    mesh, points = trimesh.creation.box((1.8, 1.1, 0.3)).subdivide().subdivide().subdivide(), random_points(4000)
    expected = box(points, (0.9, 0.55, 0.15)).abs()
    tree, corner = triangle_tree(corners(mesh)), torch.from_numpy(np.array(mesh.vertices))
    assert (surface_distance(points, tree, corner) - expected).abs().max() < 1e-8
    near = surface_distance(points, tree, corner[:1], limit=0.1)
    within = expected <= 0.1
    assert within.any()
    assert (near - expected)[within].abs().max() < 1e-8
    assert near[~within].min() > 0.1


@pytest.mark.parametrize("seed", range(4))
def test_distances_against_brute_force(seed: int) -> None:
    """Random triangles of all sizes, some of them slivers, segments or points."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 10 ** (-2 * torch.rand(150, 1, 1, generator=generator, dtype=torch.float64))
    triangles = random_points(150, seed)[:, None] + sizes * torch.randn(150, 3, 3, generator=generator).double()
    triangles[:10, 2] = triangles[:10, 1]
    triangles[10:15] = triangles[10:15, :1]
    triangles[15:30, 2] = (triangles[15:30, 0] + triangles[15:30, 1]) / 2 + 1e-9
    points = random_points(200, seed + 10)
    found = surface_distance(points, triangle_tree(triangles), triangles[:, 0])
    assert torch.allclose(found, triangle_distances(points, triangles).amin(1), atol=1e-12)
    # barycentric grids: never nearer than the answer, and nearly as near
    steps = 60
    u, v = torch.meshgrid(*[torch.arange(steps + 1, dtype=torch.float64) / steps] * 2, indexing="ij")
    u, v = u[u + v <= 1.0001], v[u + v <= 1.0001]
    a, b, c = triangles.unbind(1)
    grid = a[:, None] + u[:, None] * (b - a)[:, None] + v[:, None] * (c - a)[:, None]
    for number in range(150):
        dense = torch.cdist(points, grid[number]).amin(1)
        exact = triangle_distances(points, triangles[number : number + 1])[:, 0]
        spacing = float((triangles[number] - triangles[number].roll(1, 0)).norm(dim=1).max()) / steps
        assert (exact <= dense + 1e-7).all()
        assert (dense - exact <= spacing + 1e-7).all()
