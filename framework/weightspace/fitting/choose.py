"""Which fitter makes the networks of some objects, compiled or eager, and on which device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from weightspace.activations import ACTIVATIONS
from weightspace.checks import check_choice
from weightspace.distributed import in_any_process, rank, world_size
from weightspace.errors import ConfigError, RecipeError
from weightspace.fitting.base import Fitter
from weightspace.fitting.classifier_fitter import ClassifierFitter
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.recipes import Recipe
from weightspace.sources.base import Objects, Source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.spec import NetworkSpec

MODES = ("auto", "compiled", "eager")
#: Compiling costs 8 to 30 s; it pays from this many multiply-adds of forward passes (see benchmarks/README.md).
COMPILE_PAYS = 1e11


def choose_device(device: str) -> str:
    """The device of this process: of several, each takes a graphics card of its own where "cuda" is asked.

    Raises:
        ConfigError: it cannot be used here.
    """
    if device == "cuda" and world_size() > 1:
        device = f"cuda:{rank() % max(1, torch.cuda.device_count())}"
    try:
        torch.zeros(1, device=device).cpu()  # not on "meta", which holds no numbers
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


def choose_mode(recipe: Recipe, spec: NetworkSpec, networks: int, points: int) -> str:
    """ "compiled" where the work repays the compiler's time, else "eager". Depends on nothing but its arguments."""
    return "compiled" if networks * recipe.steps * points * spec.num_params >= COMPILE_PAYS else "eager"


def choose_fitter(
    recipe: Recipe,
    objects: Objects,
    networks: int,
    mode: str,
    device: str,
    made_in: str | None = None,
    warn: Callable[[str, object], None] = lambda what, why: None,
) -> Fitter:
    """What makes the networks of these objects.

    Args:
        recipe: how to fit.
        objects: functions to fit, or classifiers to train.
        networks: how many there will be.
        mode: one of ``MODES``; "auto" is that of a zoo that is there already, else what pays and works.
        device: where to fit.
        made_in: mode of a zoo that is there already, for which nothing is compiled before it is needed.
        warn: called with what is done, and why, where mode "auto" finds no compiler that works.

    Raises:
        ConfigError: an unknown mode, one that these objects do not have, a recipe for other objects, or objects that no
            fitter is for.
        RecipeError: the recipe asks for something that the fitter does not use; mode "compiled" and no compiler works.
    """
    check_choice("mode", mode, MODES)
    if isinstance(objects, ClassifierSource):
        return _for_classifiers(recipe, objects, mode, device)
    if not isinstance(objects, Source):
        raise ConfigError(f"source {objects.name!r} gives no functions to fit")
    return _for_functions(recipe, objects, networks, mode, device, made_in, warn)


def _for_classifiers(recipe: Recipe, objects: ClassifierSource, mode: str, device: str) -> ClassifierFitter:
    spec = recipe.spec(objects.in_dim, objects.out_dim)
    if mode == "compiled":
        raise ConfigError("mode: classifiers are trained eagerly, take mode 'eager' or 'auto'")
    if ACTIVATIONS[spec.activation].has_frequency:
        raise ConfigError(
            f"recipe {recipe.name!r} makes {spec.activation} networks: classifiers need the recipe 'classifier'"
        )
    return ClassifierFitter(recipe, spec, device)


def _for_functions(
    recipe: Recipe,
    objects: Source,
    networks: int,
    mode: str,
    device: str,
    made_in: str | None,
    warn: Callable[[str, object], None],
) -> BatchedFitter:
    spec, coordinates = recipe.spec(objects.in_dim, objects.out_dim), objects.points(torch.zeros(1, dtype=torch.int64))

    def fitter(mode: str) -> BatchedFitter:
        return BatchedFitter(recipe, spec, coordinates, mode, device, objects.uniform)

    points = recipe.points_per_step or coordinates.shape[-2]
    wanted = (made_in or choose_mode(recipe, spec, networks, points)) if mode == "auto" else mode
    chosen = fitter(wanted)
    if made_in is not None:
        return chosen
    failure: RecipeError | None = None
    try:
        chosen.compile()
    except RecipeError as error:
        if mode == "compiled":
            raise
        failure = error
    if in_any_process(failure is not None):  # all alike: the last bits differ between the modes
        warn("fitting eagerly:", failure or "a process cannot compile")
        return fitter("eager")
    return chosen


def description(fitter: Fitter) -> str:
    """The line about a fitter that a fit begins with."""
    recipe, where = fitter.recipe, f" on {fitter.device}"
    if not isinstance(fitter, BatchedFitter):
        return f"recipe {recipe.name}: up to {recipe.steps} steps, {fitter.mode}{where}"
    cost = f" (in {fitter.compile_seconds:.1f} s)" if fitter.compile_seconds else ""
    return f"recipe {recipe.name}: {recipe.steps} steps on {fitter.points} points, {fitter.mode}{cost}{where}"
