"""Drawing initial weights, with a seed of its own for each network."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from weightspace.fitting.recipes import BOUNDS, Recipe
from weightspace.spec import NetworkSpec


def initialise(recipe: Recipe, spec: NetworkSpec, seed: int, networks: list[tuple[int, int, int]]) -> Tensor:
    """Draws the initial parameters of some networks.

    The weights of a network depend only on (seed, object, view, attempt), so a zoo does not depend on how its
    work was divided. With ``recipe.init == "shared"`` they depend only on (seed, view, attempt), not on the object.

    Args:
        recipe: bounds of the uniform distributions.
        spec: the architecture; the omega of each sine layer scales its bounds.
        seed: the zoo's seed.
        networks: (object, view, attempt) of each.

    Returns:
        (len(networks), P) float32 on the CPU.
    """
    uniform = torch.empty(len(networks), spec.num_params)
    for row, (item, view, attempt) in zip(uniform, networks, strict=True):
        key = (seed, view, attempt) if recipe.init == "shared" else (seed, item, view, attempt)
        state = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
        row.uniform_(-1, 1, generator=torch.Generator().manual_seed(state))
    return uniform * bounds(recipe, spec)


def bounds(recipe: Recipe, spec: NetworkSpec) -> Tensor:
    """(P,) half-widths of the uniform initialisation of every parameter."""
    result = torch.empty(spec.num_params)
    last = spec.num_layers - 1
    for layer, (_, *inputs) in enumerate(spec.weight_shapes):
        fan_in = math.prod(inputs)
        role = 0 if layer == 0 else 2 if layer == last else 1
        # the last layer has no omega of its own: SIREN scales it like the sine layer before it
        omega = spec.omegas[min(layer, last - 1)]
        result[spec.weight_slices[layer]] = BOUNDS[recipe.weight_init[role]](fan_in, omega)
        result[spec.bias_slices[layer]] = BOUNDS[recipe.bias_init[role]](fan_in, omega)
    return result * recipe.init_scale
