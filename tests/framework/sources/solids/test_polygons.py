"""Against what can be said of any division: areas, and coverage of random points."""

from __future__ import annotations

import numpy as np
import pytest
from weightspace.files.limits import CONCAVE_FACE
from weightspace.sources.solids.polygons import clip_ears, triangulate


def random_star(rng: np.random.Generator, size: int) -> np.ndarray:
    """A simple polygon (k, 2), counterclockwise: corners at random distances around a point."""
    angles = 2 * np.pi * (np.arange(size) + rng.uniform(0, 0.8, size)) / size
    return rng.uniform(0.1, 1, size)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def comb(teeth: int) -> np.ndarray:
    """Deep teeth: no corner sees all others."""
    top = [(x, 1 + 9 * (x % 2)) for x in range(2 * teeth, -1, -1)]
    return np.array([(0, 0), (2 * teeth, 0), *top], dtype=np.float64)


def spiral(turns: int) -> np.ndarray:
    """A band that is wound up."""
    angles = np.linspace(0, 2 * np.pi * turns, 12 * turns)
    edge = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([edge * (angles + 8)[:, None], edge[::-1] * (angles[::-1] + 6)[:, None]])


def ring() -> np.ndarray:
    """A square with a square hole, joined by a bridge: two corners are there twice."""
    return np.array([(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)], dtype=np.float64)


def signed_area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def inside(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """By how often a ray crosses the outline."""
    found = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            found ^= crosses & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0)
    return found


def covered(polygon: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    return sum(inside(polygon[triangle], points).astype(int) for triangle in triangles)


def outlines() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    stars = [random_star(rng, int(size)) for size in rng.integers(4, 30, 25)]
    return [*stars, comb(3), comb(15), spiral(1), spiral(2), ring()]


@pytest.mark.parametrize("number", range(len(outlines())))
def test_every_point_of_a_polygon_is_covered_once(number: int) -> None:
    outline = outlines()[number]
    rng = np.random.default_rng(number)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    points = rng.uniform(outline.min(0), outline.max(0), (100, 2))
    for shift in range(0, len(outline), max(1, len(outline) // 3)):
        for turned in (np.roll(outline, shift, axis=0), np.roll(outline, shift, axis=0)[::-1]):
            space = turned @ axes[:2] + 3 * axes[2]
            triangles = triangulate(space, np.arange(len(turned)), np.array([len(turned)]))
            assert triangles.shape == (len(turned) - 2, 3)
            assert np.array_equal(covered(turned, triangles, points), inside(turned, points))
            sides = np.sign(turned_area := np.array([signed_area(turned[t]) for t in triangles]))
            assert set(sides) <= {0, np.sign(signed_area(turned))}, "all are turned as the polygon is"
            assert turned_area.sum() == pytest.approx(signed_area(turned))


def test_ears_alone() -> None:
    rng = np.random.default_rng(1)
    for size in range(4, 30):
        outline = random_star(rng, size)
        triangles = clip_ears(outline, signed_area(outline))
        assert sum(signed_area(outline[t]) for t in triangles) == pytest.approx(signed_area(outline))
        assert min(signed_area(outline[t]) for t in triangles) >= -1e-12


def test_convex_polygons_are_fans_from_their_first_corner() -> None:
    """In their order, also beside others and with corners on a line."""
    angles = 2 * np.pi * np.arange(7) / 7
    seven = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    dart = np.array([[0.0, 0, 1], [4, 4, 1], [0, 2, 1], [-4, 4, 1]])
    line = np.array([[0.0, 0, 2], [1, 1e-9, 2], [2, 0, 2], [2, 2, 2], [0, 2, 2]])
    points = np.concatenate([seven, dart, line])
    triangles = triangulate(points, np.arange(16), np.array([7, 4, 5])).tolist()
    assert triangles[:5] == [[0, i, i + 1] for i in range(1, 6)]
    assert triangles[5:7] == [[7, 8, 9], [7, 9, 10]]
    assert triangles[7:] == [[11, 12, 13], [11, 13, 14], [11, 14, 15]]
    other = triangulate(points, np.array([8, 9, 10, 7, 0, 1, 2]), np.array([4, 3])).tolist()
    assert other == [[9, 10, 7], [9, 7, 8], [0, 1, 2]], "from the corner that sees all others"


def test_what_crosses_itself_is_refused() -> None:
    angles = 2 * np.pi * 2 * np.arange(5) / 5
    star = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    with pytest.raises(ValueError, match="a face with 5 corners crosses itself"):
        triangulate(star, np.arange(5), np.array([5]))


def test_a_polygon_without_an_area_stays_a_fan() -> None:
    points = np.array([[0.0, 0, 0], [3, 0, 0], [1, 0, 0], [2, 0, 0], [1, 0, 0]])
    assert triangulate(points, np.arange(5), np.array([5])).tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]


def test_endless_work_is_refused() -> None:
    outline = np.concatenate([comb(CONCAVE_FACE), np.zeros((2 * CONCAVE_FACE + 3, 1))], axis=1)
    with pytest.raises(ValueError, match="too many corners"):
        triangulate(outline, np.arange(len(outline)), np.array([len(outline)]))
