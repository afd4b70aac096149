"""Fitting SIRENs 2-32-32-1 to 28 x 28 images: a naive torch loop, and the batched fitter, eager and compiled."""

from __future__ import annotations

import time

import torch
from common import Report, rate
from torch import nn
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import ImageSource, load_source
from weightspace.sources.fashion_mnist import SYSTEM_FOLDER


class Sine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(30 * x)


def images() -> ImageSource:
    """Fashion-MNIST; random images of the same size where it is not installed (speed does not depend on them)."""
    if SYSTEM_FOLDER.is_dir():
        return load_source("fashion-mnist")
    import numpy as np

    print(f"no Fashion-MNIST at {SYSTEM_FOLDER}: random images of its size")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    return ImageSource("random", pixels, np.zeros(64, dtype=np.int64), ("none",), 64)


def naive(coordinates: torch.Tensor, values: torch.Tensor, steps: int) -> int:
    """One network at a time with autograd and torch.optim.Adam; returns the steps done."""
    network = nn.Sequential(nn.Linear(2, 32), Sine(), nn.Linear(32, 32), Sine(), nn.Linear(32, 1))
    adam = torch.optim.Adam(network.parameters(), lr=5e-4)
    for _ in range(steps):
        adam.zero_grad()
        loss = (network(coordinates) + 0.5 - values).square().mean()
        loss.backward()
        adam.step()
    return steps


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 5.0 if report.quick else 15.0
    source = images()
    x = source.coordinates()
    first = source.values(torch.arange(1))[0]
    base = report.add("naive loop, one network at a time", rate(lambda: naive(x, first, 100), seconds), "INR-steps/s")
    recipe = load_recipe("dwsnets", {"steps": 100})
    spec = recipe.spec(2, 1)
    for mode in ("eager", "compiled"):
        fitter = BatchedFitter(recipe, spec, x, mode)
        start = time.perf_counter()
        fitter.compile()
        compile_seconds = time.perf_counter() - start
        values = source.values(torch.arange(fitter.block))
        initial = initialise(recipe, spec, 0, [(i, 0, 0) for i in range(fitter.block)])

        def work(fitter: BatchedFitter = fitter, initial=initial, values=values) -> int:
            fitter.fit(initial, values)
            return fitter.block * recipe.steps

        report.add(f"batched fitter, {mode}, {fitter.block} at once", rate(work, seconds), "INR-steps/s", base)
        if mode == "compiled":
            report.add("compiling (2 to 3 s where a disk cache has it)", compile_seconds, "s")
    report.finish()


if __name__ == "__main__":
    main()
