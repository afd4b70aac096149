"""Procedural shapes: signed distances, exact, of twelve classes of solids that vary continuously."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.errors import SourceError
from weightspace.sources.base import MOST_OBJECTS
from weightspace.sources.solids.sdf import arc, box, extrude, revolve, torus
from weightspace.sources.solids.solid import CLAMP, NEAR, SolidSource

#: Signed distances (N,) at points (N, 3) in float64.
Field = Callable[[Tensor], Tensor]
#: Another number means other shapes for the same arguments.
VERSION = 1
#: Between the parts of a shape, so that the minimum of their distances is exact: below what a network resolves.
GAP = 0.004


class ShapeSource(SolidSource):
    """Twelve classes of solids with sizes drawn at random; half of the points in the cube, half near the surface.

    Args:
        count: how many there are; object i is of class i modulo 12.
        points: number of points per shape, even, >= 2.
        field, clamp: see ``SolidSource``.
        seed: of all sizes, poses and points.

    Raises:
        SourceError: a value out of range.
    """

    name = "shapes"

    def __init__(self, count: int, points: int, field: str, clamp: float, seed: int) -> None:
        super().__init__(points, field, clamp)
        count = check_whole("source 'shapes': count", count, 1, MOST_OBJECTS, SourceError)
        seed = check_whole("source 'shapes': seed", seed, 0, 2**63 - 1, SourceError)
        self.arguments = {"count": count, "points": points, "field": field, "clamp": clamp, "seed": seed}
        self.seed = seed
        self.class_names = tuple(CLASSES)
        self.targets = np.arange(count, dtype=np.int64) % len(CLASSES)
        self.num_train = count

    @property
    def digest(self) -> str:
        """sha256 of the arguments, which determine everything."""
        return hashlib.sha256(repr((self.name, VERSION, sorted(self.arguments.items()))).encode()).hexdigest()

    def distance(self, item: int, points: Tensor) -> Tensor:
        """The shape's signed distance, exact."""
        return self._shape(item)(points)

    def _shape(self, item: int) -> Field:
        rng = np.random.default_rng((self.seed, item, 0))
        shape = list(CLASSES.values())[item % len(CLASSES)](rng)
        angle, size = rng.uniform(-math.pi / 9, math.pi / 9), rng.uniform(0.75, 0.95)
        turn = torch.tensor(
            [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]],
            dtype=torch.float64,
        )
        return lambda p: size * shape(p @ turn / size)

    def sample(self, item: int) -> Tensor:
        """Points uniform in the cube, then points projected onto the surface along the gradient, with added noise."""
        rng = np.random.default_rng((self.seed, item, 1))
        even, start = torch.from_numpy(rng.uniform(-1, 1, (2, self.uniform, 3)))
        with torch.enable_grad():
            start.requires_grad_()
            found = self.distance(item, start)
            (slope,) = torch.autograd.grad(found.sum(), start)
        near = (start - found[:, None] * slope).detach() + torch.from_numpy(rng.normal(0, NEAR, start.shape))
        return torch.cat([even, near.clamp(-1, 1)])


def shapes(
    count: int = 100_000, points: int = 16_384, field: str = "sdf", clamp: float = CLAMP, seed: int = 0
) -> ShapeSource:
    """Makes the source, see ``ShapeSource``. No own test set."""
    return ShapeSource(count, points, field, clamp, seed)


def _outline(*corners: tuple[float, float]) -> Tensor:
    return torch.tensor(corners, dtype=torch.float64)


def _union(*parts: Field) -> Field:
    """Signed distance to a union of parts that do not touch."""
    return lambda p: torch.stack([part(p) for part in parts]).amin(0)


def _legs(top: float, bottom: float, x: float, y: float, thick: float) -> list[Field]:
    """Four legs from below ``top`` to ``bottom``, centred at (+-x, +-y)."""
    half, middle = (top - GAP - bottom) / 2, (top - GAP + bottom) / 2
    places = [(sx * x, sy * y, middle) for sx in (-1, 1) for sy in (-1, 1)]
    return [lambda p, place=place: box(p, (thick, thick, half), place) for place in places]  # type: ignore[misc]


def table(rng: np.random.Generator) -> Field:
    """A plate on four legs."""
    x, y, plate, height = (
        rng.uniform(0.45, 0.75),
        rng.uniform(0.35, 0.6),
        rng.uniform(0.04, 0.09),
        rng.uniform(0.4, 0.65),
    )
    thick = rng.uniform(0.05, 0.09)
    legs = _legs(height - 2 * plate, -height, x - thick, y - thick, thick)
    return _union(lambda p: box(p, (x, y, plate), (0, 0, height - plate)), *legs)


def chair(rng: np.random.Generator) -> Field:
    """A seat on four legs, with a back."""
    x, y, seat, thick = (
        rng.uniform(0.32, 0.45),
        rng.uniform(0.32, 0.45),
        rng.uniform(0.04, 0.07),
        rng.uniform(0.05, 0.07),
    )
    bottom, back = -rng.uniform(0.6, 0.75), rng.uniform(0.25, 0.38)
    lean = rng.uniform(0.04, 0.07)
    back_box: Field = lambda p: box(p, (x, lean, back), (0, y - lean, seat + GAP + back))  # noqa: E731
    return _union(lambda p: box(p, (x, y, seat)), back_box, *_legs(-seat, bottom, x - thick, y - thick, thick))


def mug(rng: np.random.Generator) -> Field:
    """A cup with a handle."""
    radius, height, wall = rng.uniform(0.32, 0.45), rng.uniform(0.35, 0.55), rng.uniform(0.05, 0.08)
    taper, tube = rng.uniform(0.85, 1.0), rng.uniform(0.05, 0.07)
    bottom = radius * taper
    cup = _outline(
        (0, -height), (bottom, -height), (radius, height), (radius - wall, height),
        (bottom - wall, wall - height), (0, wall - height),
    )  # fmt: skip
    ring, span = rng.uniform(0.5, 0.65) * height, 0.5 * math.pi
    # an arc beyond the wall, in the x-z plane; its round ends stay clear of the cup
    shift = radius + tube + GAP

    def handle(p: Tensor) -> Tensor:
        return arc(torch.stack([p[:, 2], p[:, 0] - shift, p[:, 1]], dim=1), span, ring, tube)

    return _union(lambda p: revolve(p, cup), handle)


def ring(rng: np.random.Generator) -> Field:
    """A torus with random radii."""
    major = rng.uniform(0.45, 0.65)
    minor = rng.uniform(0.1, 0.25)
    return lambda p: torus(p, major, minor)


def bottle(rng: np.random.Generator) -> Field:
    """A body, a shoulder and a neck."""
    body, neck = rng.uniform(0.25, 0.42), rng.uniform(0.08, 0.14)
    shoulder, top = rng.uniform(0.0, 0.25), rng.uniform(0.7, 0.9)
    slope = rng.uniform(0.1, 0.25)
    profile = _outline((0, -0.8), (body, -0.8), (body, shoulder), (neck, shoulder + slope), (neck, top), (0, top))
    return lambda p: revolve(p, profile)


def lamp(rng: np.random.Generator) -> Field:
    """A foot with a pole, and a shade above."""
    foot, pole, height = rng.uniform(0.25, 0.4), rng.uniform(0.05, 0.07), rng.uniform(0.0, 0.2)
    low, high, shade = rng.uniform(0.45, 0.6), rng.uniform(0.2, 0.32), rng.uniform(0.4, 0.55)
    stand = _outline((0, -0.8), (foot, -0.8), (foot, -0.7), (pole, -0.65), (pole, height), (0, height))
    top = _outline((0, height + GAP), (low, height + GAP), (high, height + shade), (0, height + shade))
    return _union(lambda p: revolve(p, stand), lambda p: revolve(p, top))


def goblet(rng: np.random.Generator) -> Field:
    """A bowl on a stem and a foot."""
    foot, stem, bowl = rng.uniform(0.25, 0.38), rng.uniform(0.05, 0.08), rng.uniform(0.35, 0.5)
    start, rim, wall = rng.uniform(-0.25, 0.0), rng.uniform(0.55, 0.75), rng.uniform(0.05, 0.07)
    profile = _outline(
        (0, -0.75), (foot, -0.75), (foot, -0.68), (stem, -0.62), (stem, start), (bowl, start + 0.25), (bowl, rim),
        (bowl - wall, rim), (bowl - wall, start + 0.27), (0, start + 0.1),
    )  # fmt: skip
    return lambda p: revolve(p, profile)


def vase(rng: np.random.Generator) -> Field:
    """A hollow body with a wavy side."""
    heights = np.linspace(-0.75, 0.75, 13)
    middle, wave, turns, phase = (
        rng.uniform(0.3, 0.42),
        rng.uniform(0.05, 0.13),
        rng.uniform(0.6, 1.1),
        rng.uniform(0, 6.28),
    )
    radii = middle + wave * np.sin(phase + turns * np.pi * heights / 0.75)
    wall = rng.uniform(0.06, 0.08)
    outer = list(zip(radii, heights, strict=True))
    inner = [(r - wall, z) for r, z in outer[:0:-1]]
    floor = -0.75 + wall
    profile = _outline((0, -0.75), *outer, *inner[:-1], (radii[1] - wall, floor + 0.06), (0, floor))
    return lambda p: revolve(p, profile)


def gear(rng: np.random.Generator) -> Field:
    """A toothed wheel with random teeth."""
    teeth, radius, depth, half = (
        int(rng.integers(6, 11)),
        rng.uniform(0.55, 0.7),
        rng.uniform(0.1, 0.2),
        rng.uniform(0.1, 0.25),
    )
    share = rng.uniform(0.4, 0.6)
    corners = []
    for tooth in range(teeth):
        begin, width = 2 * math.pi * tooth / teeth, 2 * math.pi / teeth
        for at, r in ((0, radius - depth), (0.1, radius), (share, radius), (share + 0.1, radius - depth)):
            corners.append((r * math.cos(begin + at * width), r * math.sin(begin + at * width)))
    return lambda p: extrude(p, _outline(*corners), half)


def star(rng: np.random.Generator) -> Field:
    """A star with five points, as a thick plate."""
    outer, half = rng.uniform(0.6, 0.8), rng.uniform(0.1, 0.22)
    inner = outer * rng.uniform(0.35, 0.6)
    radii = [outer if corner % 2 == 0 else inner for corner in range(10)]
    corners = [(r * math.sin(math.pi * i / 5), r * math.cos(math.pi * i / 5)) for i, r in enumerate(radii)]
    upright = _outline(*corners)
    return lambda p: extrude(p[:, [0, 2, 1]], upright, half)


def stairs(rng: np.random.Generator) -> Field:
    """A flight of three to five steps."""
    steps, wide, deep, high = (
        int(rng.integers(3, 6)),
        rng.uniform(0.3, 0.55),
        rng.uniform(0.5, 0.7),
        rng.uniform(0.4, 0.65),
    )
    corners = [(-deep, -high)]
    for step in range(steps):
        left, top = -deep + 2 * deep * step / steps, -high + 2 * high * (step + 1) / steps
        corners += [(left, top), (left + 2 * deep / steps, top)]
    outline = _outline(*corners, (deep, -high))
    return lambda p: extrude(p[:, [0, 2, 1]], outline, wide)


def arch(rng: np.random.Generator) -> Field:
    """A gate: a half ring on two posts."""
    inner, wide, post, half = (
        rng.uniform(0.3, 0.42),
        rng.uniform(0.15, 0.28),
        rng.uniform(0.3, 0.6),
        rng.uniform(0.15, 0.3),
    )
    angles = np.linspace(0, math.pi, 17)
    outside = [((inner + wide) * math.cos(a), (inner + wide) * math.sin(a)) for a in angles]
    inside = [(inner * math.cos(a), inner * math.sin(a)) for a in angles[::-1]]
    corners = [(inner + wide, -post), *outside, (-inner - wide, -post), (-inner, -post), *inside, (inner, -post)]
    outline = _outline(*corners)
    return lambda p: extrude(p[:, [0, 2, 1]], outline, half)


CLASSES: dict[str, Callable[[np.random.Generator], Field]] = {
    function.__name__: function
    for function in (table, chair, mug, ring, bottle, lamp, goblet, vase, gear, star, stairs, arch)
}
