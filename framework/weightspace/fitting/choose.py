"""Choosing a fitter, its mode (compiled or eager) and its device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from weightspace.activations import ACTIVATIONS
from weightspace.checks import check_choice
from weightspace.distributed import in_any_process
from weightspace.errors import ConfigError, RecipeError
from weightspace.fitting.base import Fitter
from weightspace.fitting.classifier_fitter import ClassifierFitter
from weightspace.fitting.cnn_fitter import CNNFitter, cnn_spec
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.recipes import Recipe
from weightspace.sources.base import Objects, Source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.sources.cnns import CNNSource
from weightspace.spec import NetworkSpec

MODES = ("auto", "compiled", "eager")
#: Compiling costs 8 to 30 s; it pays from this many multiply-adds of forward passes (see benchmarks/README.md).
COMPILE_PAYS = 1e11


def choose_mode(recipe: Recipe, spec: NetworkSpec, networks: int, points: int) -> str:
    """Returns "compiled" if the work is worth compiling for, else "eager"; depends only on its arguments."""
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
    """Builds the fitter for the networks of a source.

    Args:
        recipe: how to fit.
        objects: functions to fit, or classifiers to train.
        networks: number of networks.
        mode: one of ``MODES``; "auto" is the mode of an existing zoo, else compiled if that pays and works.
        device: device on which networks are fitted.
        made_in: mode of an existing zoo, for which nothing is compiled before it is needed.
        warn: called with the chosen mode and the reason if mode "auto" finds no working compiler.

    Raises:
        ConfigError: the mode is unknown or not available for these objects, the recipe is for other objects, or no
            fitter supports the objects.
        RecipeError: the recipe sets a field that the fitter does not use, or the mode is "compiled" and there is no
            working compiler.
    """
    check_choice("mode", mode, MODES)
    if isinstance(objects, ClassifierSource | CNNSource):
        return _for_classifiers(recipe, objects, mode, device)
    if not isinstance(objects, Source):
        raise ConfigError(f"source {objects.name!r} gives no functions to fit")
    return _for_functions(recipe, objects, networks, mode, device, made_in, warn)


def architecture(recipe: Recipe, objects: Objects) -> NetworkSpec:
    """The architecture of networks that are fitted to objects by a recipe."""
    return cnn_spec(recipe, objects) if isinstance(objects, CNNSource) else recipe.spec(objects.in_dim, objects.out_dim)


def _for_classifiers(recipe: Recipe, objects: ClassifierSource | CNNSource, mode: str, device: str) -> Fitter:
    if mode == "compiled":
        raise ConfigError("mode: classifiers are trained eagerly, take mode 'eager' or 'auto'")
    if ACTIVATIONS[recipe.activation].has_frequency:
        known = "'cnn'" if isinstance(objects, CNNSource) else "'classifier'"
        raise ConfigError(
            f"recipe {recipe.name!r} makes {recipe.activation} networks: classifiers need the recipe {known}"
        )
    make = CNNFitter if isinstance(objects, CNNSource) else ClassifierFitter
    return make(recipe, architecture(recipe, objects), device)


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
    if in_any_process(failure is not None):  # all processes use one mode, since the modes differ in the last bits
        warn("fitting eagerly:", failure or "a process cannot compile")
        return fitter("eager")
    return chosen


def description(fitter: Fitter) -> str:
    """Describes a fitter in one line, which is shown when a fit starts."""
    recipe, where = fitter.recipe, f" on {fitter.device}"
    if not isinstance(fitter, BatchedFitter):
        return f"recipe {recipe.name}: up to {recipe.steps} steps, {fitter.mode}{where}"
    cost = f" (in {fitter.compile_seconds:.1f} s)" if fitter.compile_seconds else ""
    return f"recipe {recipe.name}: {recipe.steps} steps on {fitter.points} points, {fitter.mode}{cost}{where}"
