"""Measures how far apart two views of an object are, before and after symmetries are removed, for docs/why-views.md.

`python docs/why_views.py ZOO`, of a zoo with two or more views of its training objects, writes the tables between two
marks of the page, and draws its picture. The page has the command that makes the zoo.
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

DOCS = Path(__file__).parent
#: Most networks of each kind.
PAIRS = 1000
#: Groups by which the second network of a pair is aligned with the first; None: it stays as it is.
GROUPS = {"nothing": None, "permutations": "permutation", "and signs": "permutation+sign", "and phases": "auto"}


@dataclass(frozen=True)
class Measured:
    """What is measured of the pairs of a zoo.

    Attributes:
        spec: architecture of the networks.
        distances: (B,) by (what is removed, kind of pair).
        noise: of W_1, ..., b_1, ... by what is removed, see ``noise_levels``.
    """

    spec: ws.NetworkSpec
    distances: dict[tuple[str, str], Tensor]
    noise: dict[str, list[float]]

    @property
    def kinds(self) -> list[str]:
        """Kinds of pairs."""
        return list(dict.fromkeys(kind for _, kind in self.distances))


def first_and_second_views(zoo: ws.Zoo) -> tuple[ws.WeightBatch, ws.WeightBatch]:
    """Views 0 and 1 of the first training objects, in the same order.

    Raises:
        ConfigError: the zoo has no classes, or only one view.
    """
    batch = zoo["train"][:]
    assert batch.objects is not None
    assert batch.views is not None
    if batch.num_classes is None or not (batch.views == 1).any():
        raise ConfigError(f"{zoo.path}: expected classes and two views of each training object (fit it with --views 2)")
    rows = [torch.nonzero(batch.views == view)[:, 0] for view in (0, 1)]
    both = [part[torch.isin(batch.objects[part], batch.objects[other])] for part, other in (rows, rows[::-1])]
    first, second = (batch.select(part[batch.objects[part].argsort()][:PAIRS]) for part in both)
    return first, second


def partners(first: ws.WeightBatch, second: ws.WeightBatch) -> dict[str, ws.WeightBatch]:
    """For each network of the first views, the second view of its object, of its class, and of another class.

    Raises:
        ConfigError: a class has one object, or there is one class.
    """
    assert first.targets is not None
    same = first.targets[:, None] == first.targets
    choices = {"same class": same & ~torch.eye(len(first), dtype=torch.bool), "another class": ~same}
    if not all(mask.any(1).all() for mask in choices.values()):
        raise ConfigError("expected two classes or more, with two objects or more of each: fit a larger zoo")
    generator = torch.Generator().manual_seed(0)
    drawn = {name: torch.multinomial(mask.float(), 1, generator=generator)[:, 0] for name, mask in choices.items()}
    return {"same object": second, **{name: second.select(rows) for name, rows in drawn.items()}}


def moved(first: ws.WeightBatch, other: ws.WeightBatch, group: str | None) -> ws.WeightBatch:
    """The other networks, aligned with the first ones under a group; None: as they are."""
    return other if group is None else ws.align(first, other, group).apply(other)


def distances(first: ws.WeightBatch, other: ws.WeightBatch) -> Tensor:
    """(B,) |a - b| / sqrt(|a|^2 + |b|^2) of all parameters: 0 for equal networks, about 1 for unrelated ones."""
    norms = first.params.square().sum(1) + other.params.square().sum(1)
    return ((first.params - other.params).square().sum(1) / norms).sqrt()


def noise_levels(first: ws.WeightBatch, other: ws.WeightBatch) -> list[float]:
    """For each W_l and b_l, the deviation of noise by which two copies would differ as these do, over its entries' own.

    Copies with independent noise of deviation s differ by sqrt(2) s. Tensors of one entry have no deviation: 0.
    """
    levels = []
    for part in (*first.spec.weight_slices, *first.spec.bias_slices):
        noise = float((first.params - other.params)[:, part].square().mean().sqrt()) / 2**0.5
        own = float(first.params[:, part].std(1, correction=0).square().mean().sqrt())
        levels.append(noise / own if own else 0.0)
    return levels


def measure(zoo: ws.Zoo) -> Measured:
    """Measures the pairs of a zoo."""
    first, second = first_and_second_views(zoo)
    found, noise = {}, {}
    for kind, other in partners(first, second).items():
        for name, group in GROUPS.items():
            aligned = moved(first, other, group)
            found[name, kind] = distances(first, aligned)
            if kind == "same object":
                noise[name] = noise_levels(first, aligned)
    return Measured(first.spec, found, noise)


def distance_table(found: Measured) -> str:
    """Mean distances in Markdown, and how often the network of the same object is the nearer one."""
    own, *others = found.kinds
    lines = [["removed", *found.kinds, *(f"{own} nearer than {kind}" for kind in others)]]
    for name in GROUPS:
        means = [f"{float(found.distances[name, kind].mean()):.3f}" for kind in found.kinds]
        near = [float((found.distances[name, own] < found.distances[name, kind]).float().mean()) for kind in others]
        lines.append([name, *means, *(f"{share:.1%}" for share in near)])
    return table_text(lines)


def noise_table(found: Measured) -> str:
    """Levels of noise in Markdown, a column for each tensor."""
    layers = range(1, found.spec.num_layers + 1)
    head = ["removed", *(f"W{layer}" for layer in layers), *(f"b{layer}" for layer in layers)]
    return table_text([head, *([name, *(f"{level:.2f}" for level in levels)] for name, levels in found.noise.items())])


def measurement_text(found: Measured) -> str:
    """Both tables, with what they are of."""
    count = len(next(iter(found.distances.values())))
    text = f"{count} pairs of each kind, of networks {found.spec}:\n\n{distance_table(found)}"
    return text + f"\nNoise, in standard deviations of the tensor's entries:\n\n{noise_table(found)}"


def draw(found: Measured) -> Figure:
    """Distributions of distances: for whatever is removed, one box for each kind of pair."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, kind in enumerate(found.kinds):
        boxes = axes.boxplot(
            [found.distances[name, kind].numpy() for name in GROUPS],
            positions=[place + 0.27 * (number - 1) for place in range(len(GROUPS))],
            widths=0.22, whis=(5, 95), showfliers=False, patch_artist=True, medianprops={"color": "black"},
        )  # fmt: skip
        for box in boxes["boxes"]:
            box.set_facecolor(f"C{number}")
        axes.plot([], [], color=f"C{number}", linewidth=8, label=kind)
    axes.set_xticks(range(len(GROUPS)), list(GROUPS))
    axes.set_ylabel("relative distance")
    axes.set_xlabel("what alignment has removed (boxes: quartiles; whiskers: 5% to 95%)")
    axes.grid(axis="y", color="0.9")
    axes.legend()
    return figure


def main(zoo: str, page: Path = DOCS / "why-views.md", picture: Path = DOCS / "pictures" / "views_apart.png") -> None:
    """Measures a zoo, writes the page's tables, and draws the picture."""
    found = measure(ws.Zoo(zoo))
    write_measured(page, "why_views.py", measurement_text(found))
    save_figure(draw(found), picture)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "zoos/fmnist_2_views")
