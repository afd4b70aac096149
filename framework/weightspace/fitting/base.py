"""The base class of fitters and the result of a fit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from weightspace.errors import RecipeError
from weightspace.fitting.recipes import Recipe
from weightspace.sources.base import Objects
from weightspace.spec import NetworkSpec


@dataclass(frozen=True)
class Fitted:
    """Result of a fit; only the networks for which ``ok`` (n,) is true are finite.

    Attributes:
        params: (n, P) parameters.
        quality: (n, Q) measures named by the fitter's ``quality``; the first one of an INR is its PSNR in dB.
        targets: (n,) int64 classes or (n, T) float32 values, or None if they are not known.
    """

    params: Tensor
    quality: Tensor
    targets: Tensor | None = None

    @property
    def first_quality(self) -> Tensor:
        """(n,) the first column of ``quality``: PSNR in dB of an INR, test accuracy of a classifier."""
        return self.quality[:, 0]

    @property
    def ok(self) -> Tensor:
        """(n,) Whether all parameters and measures of a network are finite."""
        return self.params.isfinite().all(1) & ~self.first_quality.isnan() & (self.first_quality > -math.inf)


class Fitter(ABC):
    """Fits networks in blocks. A network depends only on its own object, view and seed, not on the rest of its block.

    Class attributes:
        recipe_fields: the fields of a recipe that affect the result. Only these are kept in a zoo's provenance; other
            fields that were asked for raise an error.

    Attributes:
        recipe, spec: how networks are fitted, and their architecture.
        mode: "compiled" or "eager".
        device: device on which networks are fitted.
        block: largest number of networks that are fitted together.
        quality: names of the measures of a network.
        compile_seconds: duration of compilation; None before it is done.

    Raises:
        RecipeError: the recipe sets a field that this fitter does not use.
    """

    recipe_fields: ClassVar[frozenset[str]]
    block: int
    quality: list[str]

    def __init__(self, recipe: Recipe, spec: NetworkSpec, mode: str, device: torch.device | str) -> None:
        unused = (recipe.given or frozenset()) - self.recipe_fields
        if unused:
            raise RecipeError(
                f"recipe {recipe.name!r}: {type(self).__name__} does not use {', '.join(sorted(unused))}: leave that "
                f"out. It uses {', '.join(sorted(self.recipe_fields))}"
            )
        self.recipe, self.spec, self.mode, self.device = recipe, spec, mode, torch.device(device)
        self.compile_seconds: float | None = None

    def compile(self) -> None:  # noqa: B027  # an eager fitter has nothing to compile
        """Compiles the training step in mode "compiled"; does nothing in mode "eager".

        Raises:
            RecipeError: there is no working compiler.
        """

    def blocks(self, objects: Tensor) -> list[int]:
        """Sizes of the blocks in which networks of (n,) objects, all views of an object in turn, are fitted."""
        return [len(part) for part in objects.split(self.block)]

    @abstractmethod
    def fit_objects(self, source: Objects, networks: list[tuple[int, int, int]], seed: int) -> Fitted:
        """Fits one block of networks (object, view, attempt), with their targets."""
