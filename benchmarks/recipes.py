"""Networks per second for the recipes of experiments/README.md, with all steps.

2-32-32-1 on 28 x 28 images, or, with --objects solids, 3-32-32-32-1 on 16,384 points of solids. One block of networks
by each recipe in turn, several times; medians.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from common import Report, rates_in_turn
from fitting import blocks, images
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import Source, load_source

#: Recipes by their names in the tables, with the changes of `--set`.
RECIPES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "images": (
        ("dwsnets", {}),
        ("dwsnets", {"init_scale": 0.1}),
        ("dwsnets", {"steps": 250}),
        ("dwsnets", {"steps": 250, "learning_rate": 2e-3}),
        ("dwsnets", {"steps": 250, "init_scale": 0.3}),
        ("dwsnets", {"steps": 250, "init_scale": 0.1, "learning_rate": 1e-3}),
        ("quick", {}),
        ("quick", {"steps": 240}),
        ("fast", {}),
        ("fast", {"steps": 100}),
        ("siren", {}),
    ),
    "solids": (
        ("sdf", {}),
        ("sdf", {"points_per_step": 1024}),
        ("sdf", {"points_per_step": 1024, "init_scale": 0.3}),
        ("sdf", {"points_per_step": 1024, "init_scale": 0.1}),
        ("sdf", {"points_per_step": 1024, "steps": 250}),
        ("sdf", {"points_per_step": 1024, "steps": 250, "init_scale": 0.3}),
        ("dwsnets", {"hidden": [32, 32, 32], "points_per_step": 4096}),
    ),
}

ROUNDS = 5


def fitting(name: str, changes: dict[str, Any], source: Source, report: Report) -> tuple[str, Callable[[], int]]:
    """Name of a recipe, and a function that fits one block of networks by it, compiled."""
    recipe = load_recipe(name, dict(changes))
    spec, points = recipe.spec(source.in_dim, source.out_dim), source.points(torch.arange(1))
    fitter = BatchedFitter(recipe, spec, points, "compiled", report.device, source.uniform)
    fitter.compile()
    return recipe.name, blocks(fitter, source)


def main() -> None:
    report = Report(
        __doc__ or "",
        only="only the recipes whose name begins so, and the first one",
        objects="images (default) or solids",
    )
    objects = report.options.objects or "images"
    source = images() if objects == "images" else load_source("shapes", count=64)
    recipes = RECIPES[objects]
    chosen = [(n, c) for i, (n, c) in enumerate(recipes) if i == 0 or n.startswith(report.options.only or "")]
    works = dict(fitting(name, changes, source, report) for name, changes in chosen)
    rates = rates_in_turn(works, 0.0, report.device, 1 if report.quick else ROUNDS)
    base = None
    for name, value in rates.items():
        row = report.add(name, value, "INR/s", base)
        base = base or row
    report.finish()


if __name__ == "__main__":
    main()
