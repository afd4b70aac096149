"""Speed of fitting SIRENs: a naive torch loop, the batched fitter, eager and compiled, and its matrix products alone.

Grey images 28 x 28 (2-32-32-1), colour images 32 x 32 (2-32-32-3), and solids (3-32-32-32-1, 4,096 points a step). Then
small CNNs: eight at once, and one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from common import Report, rates_in_turn
from torch import Tensor, nn
from weightspace.fitting.cnn_fitter import GROUP, IMAGES, CNNFitter, cnn_spec
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import ImageSource, Source, load_source
from weightspace.sources.cnns import CNNSource
from weightspace.sources.fashion_mnist import SYSTEM_FOLDER
from weightspace.spec import NetworkSpec


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * x)


def images() -> ImageSource:
    """Loads Fashion-MNIST, or makes random images of the same size, which does not affect the speed."""
    if SYSTEM_FOLDER.is_dir():
        return load_source("fashion-mnist")
    print(f"no Fashion-MNIST at {SYSTEM_FOLDER}: random images of its size")
    return random_images(28, 1)


def random_images(side: int, channels: int) -> ImageSource:
    pixels = np.random.default_rng(0).integers(0, 256, (64, side, side, channels), dtype=np.uint8)
    return ImageSource("random", pixels, np.zeros(64, dtype=np.int64), ("none",), 64)


def naive(widths: tuple[int, ...], coordinates: Tensor, values: Tensor, points: int, steps: int) -> int:
    """Fits one network at a time with autograd and torch.optim.Adam, where the values are; returns the steps."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs), Sine()]
    network = nn.Sequential(*layers, nn.Linear(*widths[-2:])).to(values.device)
    adam = torch.optim.Adam(network.parameters(), lr=5e-4)
    for step in range(steps):
        first = step * points % len(coordinates)
        x, y = coordinates[first : first + points], values[first : first + points]
        adam.zero_grad()
        (network(x) + 0.5 - y).square().mean().backward()
        adam.step()
    return steps


def products(widths: tuple[int, ...], block: int, points: int, tiles: int, device: torch.device) -> Callable[[], int]:
    """The matrix products of one step of a block, forward and backward, without anything between them."""
    weights = [torch.randn(block, outputs, inputs, device=device) for inputs, outputs in pairwise(widths)]
    values = [torch.randn(block, width, points // tiles, device=device) for width in widths]
    results, slopes = [torch.empty_like(v) for v in values], [torch.empty_like(w) for w in weights]

    def step() -> int:
        for _ in range(tiles):
            for layer, weight in enumerate(weights):
                torch.bmm(weight, values[layer], out=results[layer + 1])
            for layer, weight in enumerate(weights):
                torch.bmm(values[layer + 1], values[layer].mT, out=slopes[layer])
                if layer:
                    torch.bmm(weight.mT, values[layer + 1], out=results[layer])
        return block

    return step


def blocks(fitter: BatchedFitter, source: Source) -> Callable[[], int]:
    """A function that fits one block of networks to a source's objects, and returns their number."""
    objects = torch.arange(fitter.block) % len(source)
    own = source.points(objects)
    initial = initialise(fitter.recipe, fitter.spec, 0, [(i, 0, 0) for i in range(fitter.block)])
    arguments = (initial, source.values(objects), own if own.ndim == 3 else None)

    def block() -> int:
        fitter.fit(*arguments)
        return fitter.block

    return block


def steps_of(fitter: BatchedFitter, source: Source) -> Callable[[], int]:
    """The same, but what it returns are the steps of all of them."""
    fit = blocks(fitter, source)
    return lambda: fit() * fitter.recipe.steps


def compare(report: Report, title: str, source: Source, changes: dict, seconds: float) -> None:
    """Times the loop, both modes of the fitter and the products alone in turn."""
    recipe = load_recipe("dwsnets", {"steps": 100, "stop_psnr": None, **changes})
    spec = recipe.spec(source.in_dim, source.out_dim)
    points, values = source.points(torch.arange(1)), source.values(torch.arange(1))[0].to(report.device)
    coordinates = (points[0] if points.ndim == 3 else points).to(report.device)
    per_step = recipe.points_per_step or len(coordinates)
    fitters = {m: BatchedFitter(recipe, spec, points, m, report.device, source.uniform) for m in ("eager", "compiled")}
    fitters["compiled"].compile()
    block, tiles = fitters["compiled"].block, fitters["compiled"].tiles
    loop = f"{title}: naive loop"
    works: dict[str, Callable[[], int]] = {
        loop: lambda: naive(spec.widths, coordinates, values, per_step, 20),
        **{f"{title}: {m}, {block} at once": steps_of(fitter, source) for m, fitter in fitters.items()},
        f"{title}: products alone": products(spec.widths, block, per_step, tiles, report.device),
    }
    rates = rates_in_turn(works, seconds, report.device)
    base = report.add(loop, rates.pop(loop), "INR-steps/s")
    for name, value in rates.items():
        report.add(name, value, "INR-steps/s", base)
    report.add(f"{title}: compiling (2 to 3 s from a disk cache)", fitters["compiled"].compile_seconds or 0.0, "s")


def naive_cnn(source: CNNSource, spec: NetworkSpec, steps: int, device: torch.device) -> int:
    """Trains one CNN with a module of torch and torch.optim.Adam; returns the steps."""
    layers: list[nn.Module] = []
    for before, after in pairwise(spec.widths[:-1]):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU()]
    network = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(*spec.widths[-2:])
    )
    network.to(device)
    adam, order = torch.optim.Adam(network.parameters(), lr=1e-3), torch.from_numpy(source.order(0, steps, IMAGES))
    for rows in order:
        adam.zero_grad()
        logits = network(source.inputs(rows).to(device))
        nn.functional.cross_entropy(logits, source.labels[rows].to(device)).backward()
        adam.step()
    return steps


def compare_cnns(report: Report, seconds: float) -> None:
    """Times training of small CNNs, accuracies not included."""
    data = "fashion-mnist" if SYSTEM_FOLDER.is_dir() else "digits"
    source, recipe = load_source("cnns", data=data), load_recipe("cnn", {"steps": 20})
    spec = cnn_spec(recipe, source)
    fitter, trainings = CNNFitter(recipe, spec, report.device), [(item, 0) for item in range(GROUP)]

    def group() -> int:
        fitter.train(source, trainings, seed=0)
        return GROUP * recipe.steps

    loop = f"CNNs on {data}: one after another"
    works: dict[str, Callable[[], int]] = {
        loop: lambda: naive_cnn(source, spec, recipe.steps, report.device),
        f"CNNs on {data}: {GROUP} at once": group,
    }
    rates = rates_in_turn(works, seconds, report.device)
    base = report.add(loop, rates.pop(loop), "CNN-steps/s")
    for name, value in rates.items():
        report.add(name, value, "CNN-steps/s", base)


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 2.0 if report.quick else 15.0
    compare(report, "grey 28 x 28", images(), {}, seconds)
    compare(report, "colour 32 x 32", random_images(32, 3), {}, seconds)
    solids = {"hidden": [32, 32, 32], "points_per_step": 4096}
    compare(report, "solids", load_source("shapes", count=64), solids, seconds)
    compare_cnns(report, seconds)
    report.finish()


if __name__ == "__main__":
    main()
