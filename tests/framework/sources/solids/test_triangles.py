"""Geometry of triangle meshes: winding numbers and distances, against exact solids and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor
from weightspace.sources.solids.sdf import box
from weightspace.sources.solids.triangles import inside, surface_distance, to_one_side, winding_number

MESHES = {
    "box": lambda: trimesh.creation.box((1.8, 1.1, 0.3)),
    "sphere": lambda: trimesh.creation.icosphere(subdivisions=4, radius=0.8),
    "torus": lambda: trimesh.creation.torus(0.6, 0.2, major_sections=60, minor_sections=30),
    "cylinder with slivers": lambda: trimesh.creation.cylinder(0.5, 1.6, sections=300),
}


Surface = tuple[np.ndarray, np.ndarray]


def surface_of(mesh: trimesh.Trimesh) -> Surface:
    return np.array(mesh.vertices), np.array(mesh.faces)


def soup(triangles: Tensor) -> Surface:
    """Triangles (F, 3, 3) that share no vertices."""
    return triangles.reshape(-1, 3).numpy(), np.arange(3 * len(triangles)).reshape(-1, 3)


def random_points(count: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1


@pytest.mark.parametrize("name", MESHES)
def test_winding_number_of_closed_meshes(name: str) -> None:
    mesh, points = MESHES[name](), random_points(3000)
    vertices, faces = surface_of(mesh)
    number = winding_number(points, vertices, faces)
    assert (number - number.round()).abs().max() < 1e-9
    volume = float((number.round() == 1).double().mean()) * 8
    assert volume == pytest.approx(mesh.volume, rel=0.2)
    assert set(number.round().tolist()) == {0.0, 1.0}
    assert torch.allclose(winding_number(points, vertices, faces[:, ::-1].copy()), -number, atol=1e-9)


def test_winding_number_of_open_surfaces() -> None:
    cube = trimesh.creation.box((1, 1, 1))
    vertices, faces = surface_of(cube)
    centre = torch.zeros(1, 3, dtype=torch.float64)
    for axis in np.concatenate([np.eye(3), -np.eye(3)]):
        side = faces[cube.face_normals @ axis > 0.9]
        assert float(winding_number(centre, vertices, side)) == pytest.approx(1 / 6)
    vertices, faces = surface_of(trimesh.creation.icosphere(subdivisions=5))
    upper = faces[vertices[faces][..., 2].min(1) >= 0]
    assert float(winding_number(centre, vertices, upper)) == pytest.approx(0.5, abs=0.02)


def test_winding_number_is_the_sum_of_solid_angles() -> None:
    """Of any triangles, also where edges are of one face or of many (Van Oosterom and Strackee 1983, eq. 8)."""
    generator = torch.Generator().manual_seed(0)
    triangles, points = torch.rand(300, 3, 3, generator=generator).double() * 2 - 1, random_points(100)
    a, b, c = (triangles[None, :, corner] - points[:, None] for corner in range(3))
    la, lb, lc = (v.norm(dim=2) for v in (a, b, c))
    solid = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    angles = torch.atan2((a * torch.linalg.cross(b, c)).sum(2), solid)
    assert torch.allclose(winding_number(points, *soup(triangles)), angles.sum(1) / (2 * math.pi), atol=1e-9)


@pytest.mark.parametrize("name", MESHES)
def test_the_inside_is_decided_as_by_exact_numbers(name: str) -> None:
    """Of whole meshes, and of those with holes, turned either way."""
    mesh, points = MESHES[name](), random_points(500)
    vertices, faces = surface_of(mesh)
    torn = faces[np.random.default_rng(0).random(len(faces)) < 0.8]
    for some in (faces, torn, torn[:, ::-1].copy()):
        number = winding_number(points, vertices, some)
        outwards, inwards = inside(points, vertices, some)
        assert torch.equal(outwards, number > 0.5)
        assert torch.equal(inwards, number < -0.5)


def test_faces_are_turned_to_one_side() -> None:
    mesh = MESHES["torus"]()
    faces = mesh.faces.copy()
    turned = np.random.default_rng(0).random(len(faces)) < 0.5
    faces[turned] = faces[turned, ::-1]
    assert not trimesh.Trimesh(mesh.vertices, faces, process=False).is_winding_consistent
    assert trimesh.Trimesh(mesh.vertices, to_one_side(faces), process=False).is_winding_consistent


def test_distances_to_a_box_are_exact() -> None:
    mesh, points = trimesh.creation.box((1.8, 1.1, 0.3)).subdivide().subdivide().subdivide(), random_points(4000)
    expected = box(points, (0.9, 0.55, 0.15)).abs()
    assert (surface_distance(points, *surface_of(mesh)) - expected).abs().max() < 1e-8


@pytest.mark.parametrize("seed", range(4))
def test_distances_against_brute_force(seed: int) -> None:
    """Random triangles of all sizes, some of them slivers, segments or points."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 10 ** (-2 * torch.rand(150, 1, 1, generator=generator, dtype=torch.float64))
    triangles = random_points(150, seed)[:, None] + sizes * torch.randn(150, 3, 3, generator=generator).double()
    triangles[:10, 2] = triangles[:10, 1]
    triangles[10:15] = triangles[10:15, :1]
    triangles[15:30, 2] = (triangles[15:30, 0] + triangles[15:30, 1]) / 2 + 1e-9
    triangles[30:50, 2] = (triangles[30:50, 0] + triangles[30:50, 1]) / 2  # on a line, but for rounding
    points = random_points(200, seed + 10)
    each = torch.stack([surface_distance(points, *soup(one)) for one in triangles.split(1)], dim=1)
    assert torch.allclose(surface_distance(points, *soup(triangles)), each.amin(1), atol=1e-12)
    # barycentric grids: never nearer than the answer, and nearly as near
    steps = 60
    u, v = torch.meshgrid(*[torch.arange(steps + 1, dtype=torch.float64) / steps] * 2, indexing="ij")
    u, v = u[u + v <= 1.0001], v[u + v <= 1.0001]
    a, b, c = triangles.unbind(1)
    grid = a[:, None] + u[:, None] * (b - a)[:, None] + v[:, None] * (c - a)[:, None]
    for number in range(150):
        dense = torch.cdist(points, grid[number]).amin(1)
        exact = each[:, number]
        spacing = float((triangles[number] - triangles[number].roll(1, 0)).norm(dim=1).max()) / steps
        assert (exact <= dense + 1e-7).all()
        assert (dense - exact <= spacing + 1e-7).all()
