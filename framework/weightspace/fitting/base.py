"""What a fitter is, and what it gives."""

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
    """Result of a fit: NaN-free only where ``ok`` (n,) is true.

    Attributes:
        params: (n, P).
        quality: (n, Q), columns as the fitter's ``quality`` names them; the first of an INR is its PSNR in dB.
        targets: (n,) int64 classes or (n, T) float32, where they were asked for.
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
        """Which fits are finite."""
        return self.params.isfinite().all(1) & ~self.first_quality.isnan() & (self.first_quality > -math.inf)


class Fitter(ABC):
    """Makes networks, a block at once. A network depends on its own numbers alone, not on its company.

    Class attributes:
        recipe_fields: the fields of a recipe that decide what it makes. They alone are kept in a zoo's provenance;
            others that were asked for are refused.

    Attributes:
        recipe, spec: how, and what.
        mode: "compiled" or "eager".
        device: where.
        block: how many networks are made together.
        quality: names of the columns that measure them.
        compile_seconds: how long compiling took; None before it is done.

    Raises:
        RecipeError: the recipe asks for something that this fitter does not use.
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
        """Compiles, in mode "compiled".

        Raises:
            RecipeError: no compiler works here.
        """

    @abstractmethod
    def fit_objects(self, source: Objects, networks: list[tuple[int, int, int]], seed: int) -> Fitted:
        """Makes one block of networks (object, view, attempt), with their targets."""
