"""Pictures of solids: surfaces by marching cubes, shaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import MissingExtraError, ZooError
from weightspace.network import decode
from weightspace.sources.base import Objects
from weightspace.sources.solids.solid import SolidSource
from weightspace.text import figure_text

#: Grid points along each side of the cube.
RESOLUTION = 48
COLOUR = (0.45, 0.6, 0.85)


def cube(resolution: int = RESOLUTION) -> Tensor:
    """(resolution^3, 3) points of a grid on the cube [-1, 1]^3, including its boundary."""
    return torch.cartesian_prod(*[torch.linspace(-1, 1, resolution)] * 3)


#: Vertices (V, 3) and triangles (F, 3).
Surface = tuple[np.ndarray, np.ndarray]


def decoded_solids(batch: WeightBatch, value_range: tuple[float, float]) -> list[Surface]:
    """Computes the surface of each 3-D network of a batch."""
    networks = [batch.replace(params=row[None], targets=None, objects=None, views=None) for row in batch.params]
    return [_surface_of(decode(network, cube(), value_range)) for network in networks]


def true_solids(source: Objects, objects: Tensor) -> list[Surface]:
    """Computes the surfaces of objects of a source.

    Raises:
        ZooError: the objects of the source are not solids.
    """
    if not isinstance(source, SolidSource):
        raise ZooError(f"the objects of source {source.name!r} cannot be drawn: it is not a SolidSource")
    return [source.surface(item) or _surface_of(source.values_at(item, cube())) for item in objects.tolist()]


def surface(volume: Tensor) -> Surface:
    """Extracts the surface on which the values of a volume are one half; empty if there is none.

    Returns:
        Vertices (V, 3) and triangles (F, 3), anticlockwise seen from outside.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise MissingExtraError("scikit-image", "shapes", "drawing solids") from error
    values = volume.numpy(force=True).astype(np.float32)
    if not values.min() < 0.5 < values.max():
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    step = 2 / (len(values) - 1)
    vertices, faces, _, _ = marching_cubes(values, level=0.5, spacing=(step, step, step), gradient_direction="ascent")
    return vertices - 1, faces


def solid_grid(rows: dict[str, list[Surface]], captions: dict[str, list[str]]) -> Figure:
    """Draws rows of solids, with the name of each row at its left.

    Args:
        rows: name -> surfaces.
        captions: row name -> one caption per solid.
    """
    count = max(map(len, rows.values()))
    reach = max(
        [0.8, *(1.08 * float(abs(vertices).max()) for row in rows.values() for vertices, _ in row if len(vertices))]
    )
    figure = Figure(figsize=(1.5 * count + 0.6, 1.75 * len(rows) + 0.1), layout="constrained")
    axes = figure.subplots(len(rows), count, squeeze=False, subplot_kw={"projection": "3d"})
    for line, (name, surfaces) in zip(axes, rows.items(), strict=True):
        for axis, (vertices, faces), caption in zip(line, surfaces, captions[name], strict=True):
            _draw(axis, vertices, faces, reach)
            axis.set_title("\n".join(map(figure_text, caption.split("\n"))), fontsize=8, pad=0)
        line[0].text2D(-0.08, 0.5, name, rotation=90, va="center", transform=line[0].transAxes)
    return figure


def _draw(axis: Any, vertices: np.ndarray, faces: np.ndarray, reach: float) -> None:
    triangles = Poly3DCollection(
        vertices[faces], facecolors=COLOUR, shade=len(faces) > 0, lightsource=LightSource(azdeg=225, altdeg=40)
    )
    axis.add_collection3d(triangles)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axis.view_init(elev=25, azim=-60)
    axis.set_box_aspect((1, 1, 1), zoom=1.35)
    axis.set_axis_off()


def _surface_of(values: Tensor) -> Surface:
    """Computes the surface of values on the grid of ``cube``."""
    return surface(values.reshape(RESOLUTION, RESOLUTION, RESOLUTION))
