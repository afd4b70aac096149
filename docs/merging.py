"""Measures networks between two that were trained apart, for docs/merging.md.

`python docs/merging.py ZOO...`, of zoos of trained networks (the sources `cnns` and `classifiers`), writes the table
between two marks of the page, and draws its picture. The page has the commands that make the zoos.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import weightspace as ws
from matplotlib.figure import Figure
from measured import table_text, write_measured
from torch import Tensor
from weightspace.errors import ConfigError
from weightspace.figures.images import save_figure
from weightspace.figures.merge import draw_line
from weightspace.fitting.origin import source_of
from weightspace.sources.classifiers import ClassifierSource
from weightspace.sources.cnns import CNNSource
from weightspace.studies.merge import NONE, line
from weightspace.symmetry import squared_distance

DOCS = Path(__file__).parent
#: Most pairs of a zoo, and points of the line between two networks.
PAIRS, STEPS = 16, 11


@dataclass(frozen=True)
class Measured:
    """What is measured of the pairs of a zoo.

    Attributes:
        spec: architecture of the networks.
        accuracies: (STEPS, pairs) from the first networks to the second, by what alignment has removed.
        distances: (pairs,) between the parameters of both, likewise.
    """

    spec: ws.NetworkSpec
    accuracies: dict[str, Tensor]
    distances: dict[str, Tensor]

    @property
    def title(self) -> str:
        """The networks, and how many pairs."""
        return f"{next(iter(self.accuracies.values())).shape[1]} pairs of {self.spec}"


def best_pairs(zoo: ws.Zoo) -> tuple[ws.WeightBatch, ws.WeightBatch]:
    """Pairs of neighbours in the order of test accuracies, the best first: trainings that came out about equally good.

    Raises:
        ConfigError: the networks have no test accuracies, or there are fewer than two trainings.
    """
    rows = torch.nonzero(zoo.views == 0)[:, 0]
    if zoo.class_names is not None or len(rows) < 2:
        raise ConfigError(f"{zoo.path}: expected two or more networks with test accuracies, as of cnns or classifiers")
    order = rows[zoo.targets[rows, 0].argsort(descending=True, stable=True)][: 2 * PAIRS]
    count = len(order) // 2
    return zoo.batch(order[0 : 2 * count : 2]), zoo.batch(order[1 : 2 * count : 2])


def measure(zoo: ws.Zoo) -> Measured:
    """Measures the pairs of a zoo on the images that its networks were trained for."""
    first, second = best_pairs(zoo)
    objects = source_of(zoo.path, zoo.header)
    if not isinstance(objects, ClassifierSource | CNNSource):
        raise ConfigError(f"{zoo.path} is of the source {objects.name}: expected cnns or classifiers")
    accuracies = line(first, second, lambda batch: objects.accuracies(batch)[:, 0], steps=STEPS)
    distances = {name: squared_distance(first, aligned(first, second, name)).sqrt() for name in accuracies}
    return Measured(zoo.spec, accuracies, distances)


def aligned(first: ws.WeightBatch, second: ws.WeightBatch, name: str) -> ws.WeightBatch:
    """The second networks, aligned with the first by what a line is named after."""
    return second if name == NONE else ws.align(first, second, name).apply(second)


def barriers(accuracies: Tensor) -> Tensor:
    """(B,) by how much the lowest accuracy between two networks is below the straight line of both, at most; >= 0.

    >>> barriers(torch.tensor([[0.8], [0.1], [0.6]]))
    tensor([0.6000])
    """
    share = torch.linspace(0, 1, len(accuracies)).to(accuracies)[:, None]
    return (torch.lerp(accuracies[0], accuracies[-1], share) - accuracies).amax(0)


def table(found: list[Measured]) -> str:
    """Means over pairs in Markdown."""
    lines = [
        ["networks", "alignment", "distance", "both ends", "middle", "barrier", "pairs without one (below 2 points)"]
    ]
    for measured in found:
        for name, accuracies in measured.accuracies.items():
            ends, middle = accuracies[[0, -1]].mean(), accuracies[len(accuracies) // 2].mean()
            walls = barriers(accuracies)
            shares = [f"{float(value):.1%}" for value in (ends, middle, walls.mean(), (walls < 0.02).float().mean())]
            lines.append([measured.title, name, f"{float(measured.distances[name].mean()):.1f}", *shares])
    return table_text(lines)


def draw(found: list[Measured]) -> Figure:
    """Mean accuracies along the line, a panel for each zoo."""
    figure = Figure(figsize=(4.6 * len(found), 3.6), layout="constrained")
    for axes, measured in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        draw_line(axes, measured.accuracies, "test accuracy")
        axes.set_title(measured.title, fontsize=9)
    return figure


def main(zoos: list[str], page: Path = DOCS / "merging.md", picture: Path = DOCS / "pictures" / "merging.png") -> None:
    """Measures zoos, writes the page's table, and draws the picture."""
    found = [measure(ws.Zoo(zoo)) for zoo in zoos]
    write_measured(page, "merging.py", table(found))
    save_figure(draw(found), picture)


if __name__ == "__main__":
    main(sys.argv[1:] or ["zoos/cnns_to_merge", "zoos/classifiers_to_merge"])
