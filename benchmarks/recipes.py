"""Networks 2-32-32-1 per second for the recipes of experiments/README.md, on 28 x 28 images with all steps.

One block of networks by each recipe in turn, several times; medians.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from common import Report, rates_in_turn
from fitting import images
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe

#: Recipes by their names in the table, with the changes of `--set`.
RECIPES: tuple[tuple[str, dict[str, float]], ...] = (
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
)

ROUNDS = 5


def fitting(name: str, changes: dict[str, float], report: Report) -> tuple[str, Callable[[], int]]:
    """Name of a recipe, and a function that fits one block of networks by it, compiled."""
    recipe, source = load_recipe(name, dict(changes)), images()
    spec = recipe.spec(2, 1)
    fitter = BatchedFitter(recipe, spec, source.coordinates(), "compiled", report.device)
    fitter.compile()
    values = source.values(torch.arange(fitter.block) % len(source))
    initial = initialise(recipe, spec, 0, [(i, 0, 0) for i in range(fitter.block)])

    def work() -> int:
        fitter.fit(initial, values)
        return fitter.block

    return recipe.name, work


def main() -> None:
    report = Report(__doc__ or "", only="only the recipes whose name begins so, and the first one")
    chosen = [(n, c) for i, (n, c) in enumerate(RECIPES) if i == 0 or n.startswith(report.options.only or "")]
    works = [fitting(name, changes, report) for name, changes in chosen]
    rates = rates_in_turn(dict(works), 0.0, report.device, 1 if report.quick else ROUNDS)
    base = None
    for name, value in rates.items():
        row = report.add(name, value, "INR/s", base)
        base = base or row
    report.finish()


if __name__ == "__main__":
    main()
