"""Pictures of solids: surfaces by marching cubes, shaded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import numpy as np
import torch
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import MissingExtraError
from weightspace.network import decode
from weightspace.text import figure_text

#: Grid points along each side of the cube.
RESOLUTION = 48
COLOUR = (0.45, 0.6, 0.85)
#: A surface of fewer triangles is hardly seen.
FEW = 100
#: The twelve edges of the cube [-1, 1]^3: pairs of corners that differ in one coordinate.
_EDGES = [
    (first, second)
    for first, second in combinations(product((-1, 1), repeat=3), 2)
    if sum(a != b for a, b in zip(first, second, strict=True)) == 1
]


def cube(resolution: int = RESOLUTION) -> Tensor:
    """(resolution^3, 3) points of a grid on the cube [-1, 1]^3, including its boundary."""
    return torch.cartesian_prod(*[torch.linspace(-1, 1, resolution)] * 3)


#: Vertices (V, 3) and triangles (F, 3).
Surface = tuple[np.ndarray, np.ndarray]


def decoded_solids(batch: WeightBatch, value_range: tuple[float, float]) -> list[Surface]:
    """Computes the surface of each 3-D network of a batch."""
    return [surface(volume) for volume in decoded_volumes(batch, value_range, RESOLUTION)]


def decoded_volumes(batch: WeightBatch, value_range: tuple[float, float], resolution: int) -> Tensor:
    """(B, resolution, resolution, resolution): what each 3-D network of a batch computes at the points of ``cube``; of
    several outputs, the first.
    """
    points = cube(resolution)
    networks = [WeightBatch(row[None], batch.spec) for row in batch.params]
    outputs = torch.cat([decode(network, points, value_range)[:, :, 0] for network in networks])
    return outputs.view(-1, *[resolution] * 3)


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


def solid_grid(
    rows: dict[str, list[Surface]],
    captions: dict[str, list[str]],
    images: dict[str, Tensor] | None = None,
    boxed: bool = False,
) -> Figure:
    """Draws rows of solids, all seen from the same place, with the name of each row at its left.

    Args:
        rows: name -> surfaces; one that has none, or hardly any triangles, is named empty.
        captions: row name -> one caption per solid.
        images: further rows below: name -> (n, H, W) in [0, 1].
        boxed: whether each solid is drawn in the cube [-1, 1]^3, which shows how it was moved.
    """
    images = images or {}
    count, lines = max(map(len, rows.values())), len(rows) + len(images)
    reach = 1.0 if boxed else _reach(rows)
    figure = Figure(figsize=(1.5 * count + 0.6, 1.75 * lines + 0.1), layout="constrained")
    cells = figure.add_gridspec(lines, count)
    for line, (name, surfaces) in enumerate(rows.items()):
        for column, (solid, caption) in enumerate(zip(surfaces, captions[name], strict=True)):
            axis = figure.add_subplot(cells[line, column], projection="3d")
            _draw(axis, solid, reach, boxed)
            axis.set_title("\n".join(map(figure_text, caption.split("\n"))), fontsize=8, pad=0)
            if column == 0:
                _name(axis.text2D, axis, name)
    for line, (name, pictures) in enumerate(images.items(), len(rows)):
        for column, picture in enumerate(pictures):
            axis = figure.add_subplot(cells[line, column])
            axis.imshow(picture.numpy(force=True), cmap="gray", vmin=0, vmax=1)
            axis.set_axis_off()
            if column == 0:
                _name(axis.text, axis, name)
    return figure


def _reach(rows: dict[str, list[Surface]]) -> float:
    """Half the side of the cube that all solids fit into."""
    reaches = [float(abs(vertices).max()) for row in rows.values() for vertices, _ in row if len(vertices)]
    return max([0.8, *(1.08 * reach for reach in reaches)])


def _name(write: Callable[..., Any], axis: Any, name: str) -> None:
    write(-0.08, 0.5, figure_text(name), rotation=90, va="center", ha="center", transform=axis.transAxes)


def _draw(axis: Any, solid: Surface, reach: float, boxed: bool) -> None:
    vertices, faces = solid
    triangles = Poly3DCollection(
        vertices[faces], facecolors=COLOUR, shade=len(faces) > 0, lightsource=LightSource(azdeg=225, altdeg=40)
    )
    axis.add_collection3d(triangles)
    if len(faces) < FEW:
        said = "almost empty" if len(faces) else "empty"
        axis.text2D(0.5, 0.5, said, ha="center", va="center", color="gray", transform=axis.transAxes)
    if boxed:
        axis.add_collection3d(Line3DCollection(_EDGES, colors="0.75", linewidths=0.6))
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axis.view_init(elev=25, azim=-60)
    axis.set_box_aspect((1, 1, 1), zoom=1.08 if boxed else 1.35)
    axis.set_axis_off()
