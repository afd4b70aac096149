from __future__ import annotations

import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
import trimesh
from weightspace.cli.main import main
from weightspace.errors import SourceError
from weightspace.figures.solids import cube, surface
from weightspace.figures.true_solids import true_solids
from weightspace.fitting.verify import verify
from weightspace.sources import load_source
from weightspace.sources.solids.sdf import arc, box, polygon, torus
from weightspace.sources.solids.shapes import CLASSES
from weightspace.testing import source_checks
from weightspace.zoo import Zoo


@pytest.mark.parametrize("kind", range(12), ids=list(CLASSES))
def test_distances_are_exact(kind: int) -> None:
    """The surface is at the distance, along the gradient, and nowhere nearer."""
    source, generator = load_source("shapes", count=36), torch.Generator().manual_seed(kind)
    for item in range(kind, 36, 12):
        points = (2 * torch.rand(300, 3, generator=generator, dtype=torch.float64) - 1).requires_grad_()
        distance = source.distance(item, points)
        (slope,) = torch.autograd.grad(distance.sum(), points)
        distance = distance.detach()
        foot = points.detach() - distance[:, None] * slope
        assert source.distance(item, foot).abs().max() < 1e-12
        directions = torch.randn(300, 200, 3, generator=generator, dtype=torch.float64)
        ball = points.detach()[:, None] + 0.999 * distance.abs()[:, None, None] * directions / directions.norm(
            dim=2, keepdim=True
        )
        same = source.distance(item, ball.reshape(-1, 3)).reshape(300, 200).sign() == distance.sign()[:, None]
        assert same.all()


def test_primitives_against_dense_surfaces() -> None:
    generator = torch.Generator().manual_seed(0)
    p = 2 * torch.rand(200, 3, generator=generator, dtype=torch.float64) - 1
    u, v = torch.meshgrid(*[torch.linspace(0, 2 * math.pi, 700, dtype=torch.float64)] * 2, indexing="ij")
    ring = torch.stack([(0.6 + 0.2 * v.cos()) * u.cos(), (0.6 + 0.2 * v.cos()) * u.sin(), 0.2 * v.sin()], 2).reshape(
        -1, 3
    )
    assert (torus(p, 0.6, 0.2).abs() - torch.cdist(p, ring).amin(1)).abs().max() < 1e-3
    turns = torch.linspace(math.pi / 2 - 1, math.pi / 2 + 1, 4000, dtype=torch.float64)
    core = torch.stack([0.6 * turns.cos(), 0.6 * turns.sin(), torch.zeros_like(turns)], 1)
    assert (arc(p, 1.0, 0.6, 0.2) - (torch.cdist(p, core).amin(1) - 0.2)).abs().max() < 1e-6
    assert box(torch.tensor([[0.5, 0, 0], [0.1, 0, 0], [1, 1, 0]]), (0.2, 0.3, 0.4)).tolist() == pytest.approx(
        [0.3, -0.1, math.hypot(0.8, 0.7)]
    )
    corners = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
    inside = polygon(torch.tensor([[0.2, 0.2], [0.5, 0.5], [-1, 0], [2, 0]]), corners)
    assert inside.tolist() == pytest.approx([-0.2, 0, 1, 1], abs=1e-6)
    assert torch.allclose(inside, polygon(torch.tensor([[0.2, 0.2], [0.5, 0.5], [-1, 0], [2, 0]]), corners.flip(0)))


def test_shapes_of_a_class_vary() -> None:
    source = load_source("shapes", count=120, points=8192)
    for kind in range(12):
        volumes = (source.values(torch.arange(kind, 120, 12))[:, : source.uniform] > 0.5).float().mean((1, 2))
        assert volumes.min() > 0
        assert len(volumes.unique()) > 3


def test_half_of_the_points_are_near_the_surface() -> None:
    source = load_source("shapes", count=12, points=4096, clamp=0.2)
    distance = (source.values(torch.arange(12)) - 0.5).abs() * 0.4
    assert distance[:, source.uniform :].mean() < 0.04 < 0.1 < distance[:, : source.uniform].mean()


@pytest.mark.parametrize("field", ["sdf", "occupancy"])
@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(field: str, number: int) -> None:
    source_checks(lambda: load_source("shapes", count=30, points=256, field=field))[number]()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be in 1.."),
        ({"points": 7}, "points must be an even number"),
        ({"field": "udf"}, "field must be sdf or occupancy"),
        ({"field": "occupancy", "clamp": 0.2}, "clamp 0.2 has no effect with field=occupancy"),
        ({"clamp": 0}, "clamp must be in"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        load_source("shapes", **arguments)


def test_a_zoo_of_solids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = [
        "zoo",
        "fit",
        "--source",
        "shapes",
        "--train",
        "8",
        "--test",
        "4",
        "--recipe",
        "sdf",
        "--out",
        str(tmp_path / "z"),
    ]
    sizes = ["--set", "hidden=[16, 16]", "steps=120", "points_per_step=512", "learning_rate=5e-3"]
    assert main([*fit, *sizes, "--source_set", "count=48", "points=2048"]) == 0
    zoo = Zoo(tmp_path / "z")
    assert (zoo.spec.in_dim, zoo.spec.out_dim, zoo.header.quality) == (3, 1, ["psnr", "iou"])
    psnr, overlap = zoo.quality.T
    assert psnr.min() > 12
    assert 0.4 < overlap.mean() <= 1
    assert any("12 networks: PSNR" in line for line in verify(zoo, sample=12))
    assert main(["zoo", "info", str(tmp_path / "z")]) == 0
    assert "mean iou" in capsys.readouterr().out
    assert main(["zoo", "show", str(tmp_path / "z"), "--out", str(tmp_path / "z.png"), "--count", "2"]) == 0
    picture = matplotlib.image.imread(tmp_path / "z.png")
    assert (picture[..., :3].std(2) > 0.05).mean() > 0.02, "some of it is blue"
    assert np.unique(picture.round(2)).size > 20, "and shaded"


def test_surfaces_are_turned_outwards() -> None:
    """What is drawn has the solid's volume, and the light falls on its outside."""
    source = load_source("shapes", count=12)
    for vertices, faces in true_solids(source, torch.arange(12)):
        mesh = trimesh.Trimesh(vertices, faces)
        assert mesh.is_watertight
        assert mesh.volume > 0.03
    ball = surface((1 - cube(40).norm(dim=1)).reshape(40, 40, 40))  # one half at a radius of one half
    assert trimesh.Trimesh(*ball).volume == pytest.approx(math.pi / 6, rel=0.01)


def test_points_per_step_must_divide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["zoo", "fit", "--source", "shapes", "--train", "8", "--recipe", "sdf", "--out", str(tmp_path / "z")]
    assert main([*fit, "--set", "points_per_step=1000"]) == 2
    assert "points_per_step 1000 does not divide 16384 points" in capsys.readouterr().err
    assert not (tmp_path / "z").exists()
