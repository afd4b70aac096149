"""Pictures of networks beside those that are alike, and a map of a zoo."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.figures.images import decoded_images
from weightspace.figures.solids import decoded_solids, solid_grid
from weightspace.studies.neighbours import Neighbours
from weightspace.text import figure_text, shown
from weightspace.zoo import Zoo
from weightspace.zoo.splits import evenly_spaced

#: Pixels along each side of a decoded network in a row of neighbours, and on a map.
SIDE, THUMBNAIL = 28, 20
#: Queries that are drawn at most: more are no picture to look at, and solids take long to draw.
IMAGES, SOLIDS = 24, 3
#: Networks on a map that are drawn as pictures at most; the others are dots.
PICTURED = 400


def pictured(found: Neighbours) -> int:
    """How many of the queries ``neighbours_figure`` draws, from the first one on."""
    return min(len(found.queries), SOLIDS if found.zoo.spec.coordinates == 3 else IMAGES)


def neighbours_figure(found: Neighbours) -> Figure:
    """Draws as many queries as ``pictured`` says and, way by way, their neighbours.

    Green frames have the class of the query, red ones another.

    Raises:
        ZooError: the networks cannot be drawn: they have neither two nor three inputs.
    """
    spec = found.zoo.spec
    if spec.coordinates == 3:
        return _solids(found)
    if spec.coordinates != 2:
        raise ZooError(f"{found.zoo.path}: networks {spec} cannot be drawn, only those of 2 or 3 coordinates")
    count, queries = next(iter(found.found.values())).shape[1], found.queries[: pictured(found)]
    figure = Figure(figsize=(0.75 * (1 + (count + 0.4) * len(found.found)) + 0.5, 0.95 * len(queries) + 0.5))
    ratios = [1.0] + ([0.35] + [1.0] * count) * len(found.found)
    axes = figure.subplots(len(queries), len(ratios), squeeze=False, gridspec_kw={"width_ratios": ratios})
    for axis in axes.flat:
        axis.set_axis_off()
    _draw_column(axes[:, 0], found.zoo, queries, None)
    axes[0, 0].set_title("query", fontsize=9)
    for place, (way, rows) in enumerate(found.found.items()):
        begin = 2 + place * (count + 1)
        axes[0, begin].set_title(f"by {way}", fontsize=9, loc="left")
        for rank in range(count):
            _draw_column(axes[:, begin + rank], found.zoo, rows[: len(queries), rank], queries)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.93, bottom=0.02, wspace=0.12, hspace=0.12)
    return figure


def _draw_column(axes: np.ndarray, zoo: Zoo, rows: Tensor, queries: Tensor | None) -> None:
    images = _pictures(zoo, rows, SIDE)
    for number, (axis, image) in enumerate(zip(axes, images, strict=True)):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        if queries is not None and zoo.class_names is not None:
            same = bool(zoo.targets[rows[number]] == zoo.targets[queries[number]])
            _frame(axis, "C2" if same else "C3")


def _frame(axis: Axes, colour: str) -> None:
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set(color=colour, linewidth=2)


def _pictures(zoo: Zoo, rows: Tensor, side: int) -> list[np.ndarray]:
    """(H, W), or (H, W, 3) for colour, of each 2-D network."""
    images = decoded_images(zoo.batch(rows), side, zoo.value_range).movedim(1, 3)
    return [image.squeeze(2).numpy() if image.shape[2] == 1 else image.numpy() for image in images]


def _solids(found: Neighbours) -> Figure:
    lines, captions = {}, {}
    for number, query in enumerate(found.queries[: pictured(found)].tolist()):
        rows = [query, *(int(row) for rows in found.found.values() for row in rows[number])]
        ways = ["query", *(way for way, rows in found.found.items() for _ in rows[number])]
        name = f"query {number + 1}"
        lines[name] = decoded_solids(found.zoo.batch(torch.tensor(rows)), found.zoo.value_range)
        classes = [_class(found.zoo, row) for row in rows]
        captions[name] = [f"{way}\n{named}" for way, named in zip(ways, classes, strict=True)]
    return solid_grid(lines, captions)


def _class(zoo: Zoo, row: int) -> str:
    return "" if zoo.class_names is None else shown(zoo.class_names[int(zoo.targets[row])])


def map_figure(zoo: Zoo, rows: Tensor, places: Tensor) -> Figure:
    """Draws a map of networks: those of images as pictures, others as dots, in the colours of their classes.

    Args:
        zoo: the zoo.
        rows: (n,) the networks.
        places: (n, 2) where they lie, for instance of ``positions``.
    """
    figure = Figure(figsize=(10, 10), layout="constrained")
    axis = figure.subplots()
    axis.set_xticks([])
    axis.set_yticks([])
    axis.margins(0.05)
    classes = zoo.class_names
    colours = zoo.targets[rows].tolist() if classes is not None else [0] * len(rows)
    for number in sorted(set(colours)):
        x, y = places[[colour == number for colour in colours]].T.numpy()
        label = figure_text(shown(classes[number])) if classes is not None else None
        axis.scatter(x, y, s=14, color=_colour(number), label=label)
    if zoo.spec.coordinates == 2:
        some = evenly_spaced(len(rows), PICTURED)
        _draw_thumbnails(axis, zoo, rows[some], places[some], [colours[number] for number in some.tolist()])
    if classes is not None:
        axis.legend(fontsize=8, markerscale=2, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_thumbnails(axis: Axes, zoo: Zoo, rows: Tensor, places: Tensor, colours: list[int]) -> None:
    images = _pictures(zoo, rows, THUMBNAIL)
    for image, place, number in zip(images, places.tolist(), colours, strict=True):
        picture = OffsetImage(image, zoom=1.0, cmap="gray")
        frame = {"edgecolor": _colour(number), "linewidth": 1.5}
        axis.add_artist(AnnotationBbox(picture, tuple(place), pad=0.05, bboxprops=frame))


def _colour(number: int) -> str:
    """Of ten classes, each has its own; the next ten have pale ones."""
    return to_hex(colormaps["tab20"](2 * (number % 10) + (number // 10) % 2))
