"""Networks 2-32-32-1 per second for the recipes of experiments/README.md, on 28 x 28 images with all steps."""

from __future__ import annotations

import torch
from common import Report, rate
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


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 1.0 if report.quick else 15.0
    source = images()
    base = None
    for name, changes in RECIPES:
        recipe = load_recipe(name, dict(changes))
        spec = recipe.spec(2, 1)
        fitter = BatchedFitter(recipe, spec, source.coordinates(), "compiled", report.device)
        fitter.compile()
        values = source.values(torch.arange(fitter.block) % len(source))
        initial = initialise(recipe, spec, 0, [(i, 0, 0) for i in range(fitter.block)])

        def work(fitter: BatchedFitter = fitter, initial=initial, values=values) -> int:
            fitter.fit(initial, values)
            return fitter.block

        row = report.add(recipe.name, rate(work, seconds, report.device), "INR/s", base)
        base = base or row
    report.finish()


if __name__ == "__main__":
    main()
