"""Speed of fitting SIRENs with a naive torch loop and with the batched fitter, eager and compiled.

Grey images 28 x 28 (2-32-32-1), colour images 32 x 32 (2-32-32-3), and solids (3-32-32-32-1, 4,096 points a step).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from common import Report, Row, rate, synchronise
from torch import Tensor, nn
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import ImageSource, Source, load_source
from weightspace.sources.fashion_mnist import SYSTEM_FOLDER


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


def compare(report: Report, title: str, source: Source, changes: dict, seconds: float) -> None:
    recipe = load_recipe("dwsnets", {"steps": 100, "stop_psnr": None, **changes})
    spec = recipe.spec(source.in_dim, source.out_dim)
    points, values = source.points(torch.arange(1)), source.values(torch.arange(1))[0]
    coordinates = (points[0] if points.ndim == 3 else points).to(report.device)
    values = values.to(report.device)
    per_step = recipe.points_per_step or len(coordinates)
    work: Callable[[], int] = lambda: naive(spec.widths, coordinates, values, per_step, 20)  # noqa: E731
    base: Row = report.add(f"{title}: naive loop", rate(work, seconds, report.device), "INR-steps/s")
    for mode in ("eager", "compiled"):
        fitter = BatchedFitter(recipe, spec, points, mode, report.device, source.uniform)
        start = time.perf_counter()
        fitter.compile()
        synchronise(report.device)
        taken = time.perf_counter() - start
        objects = torch.arange(fitter.block) % len(source)
        own = source.points(objects)
        initial = initialise(recipe, spec, 0, [(i, 0, 0) for i in range(fitter.block)])
        arguments = (initial, source.values(objects), own if own.ndim == 3 else None)

        def batch(fitter: BatchedFitter = fitter, arguments=arguments) -> int:
            fitter.fit(*arguments)
            return fitter.block * recipe.steps

        report.add(f"{title}: {mode}, {fitter.block} at once", rate(batch, seconds, report.device), "INR-steps/s", base)
        if mode == "compiled":
            report.add(f"{title}: compiling (2 to 3 s from a disk cache)", taken, "s")


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 2.0 if report.quick else 15.0
    compare(report, "grey 28 x 28", images(), {}, seconds)
    compare(report, "colour 32 x 32", random_images(32, 3), {}, seconds)
    solids = {"hidden": [32, 32, 32], "points_per_step": 4096}
    compare(report, "solids", load_source("shapes", count=64), solids, seconds)
    report.finish()


if __name__ == "__main__":
    main()
