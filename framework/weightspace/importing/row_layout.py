"""Where the variables of a Keras network lie in a flattened row: the file ``layout.csv`` of the Small CNN Zoo."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from weightspace.errors import SpecError, ZooError
from weightspace.importing.csv_table import CSVTable
from weightspace.layers import Convolution, Flattened, Kernel
from weightspace.spec import NetworkSpec

#: Name of the file, and its columns; others are ignored.
LAYOUT = "layout.csv"
COLUMNS = ("varname", "start_idx", "end_idx", "shape")
#: Rows of the file at most.
MOST_VARIABLES = 10_000
#: Of the convolutions, which have no padding: files do not say it, the published training code does.
STRIDE = 2


@dataclass(frozen=True)
class Variable:
    """A tensor in a row: its name in Keras, the first of its numbers, and its shape."""

    name: str
    begin: int
    shape: tuple[int, ...]

    @property
    def places(self) -> np.ndarray:
        """Its numbers' places in a row, in its shape."""
        return np.arange(self.begin, self.begin + math.prod(self.shape)).reshape(self.shape)

    def __str__(self) -> str:
        return f"{self.name} {self.shape}"


@dataclass(frozen=True)
class RowLayout:
    """A chain of layers in a row.

    Args:
        path: the file, for messages.
        layers: (kernel, bias) of each layer, from the inputs to the outputs: kernels are (height, width, in, out) of
            convolutions, or (in, out).
        width: numbers of a row.
    """

    path: Path
    layers: tuple[tuple[Variable, Variable], ...]
    width: int

    def spec(self, activation: str) -> NetworkSpec:
        """The architecture: convolutions of stride 2 without padding, the mean over the last map, linear layers.

        Raises:
            ZooError: the layers are not those of such a chain.
        """
        kernels = [kernel.shape for kernel, _ in self.layers]
        for (before, _), (after, _) in pairwise(self.layers):
            if after.shape[-2] != before.shape[-1]:
                flat = len(before.shape) == 4 and len(after.shape) == 2
                raise ZooError(
                    f"{self.path}: {after} does not follow {before}"
                    + ("; where it reads a map that is flattened, give spec, a JSON file with its size" if flat else "")
                )
        widths = (kernels[0][-2], *(shape[-1] for shape in kernels))
        sizes = [Convolution(shape[:2], STRIDE) if len(shape) == 4 else None for shape in kernels]
        try:
            return NetworkSpec(widths, activation, kernels=tuple(sizes))
        except SpecError as error:
            raise ZooError(f"{self.path}: {error}") from error

    def order(self, spec: NetworkSpec) -> np.ndarray:
        """(P,) places in a row of the numbers of the flat vector of ``spec``.

        Raises:
            ZooError: the layers have other shapes than those of the spec.
        """
        if len(self.layers) != spec.num_layers:
            raise ZooError(f"{self.path} has {len(self.layers)} layers, and {spec} has {spec.num_layers}")
        kernels = spec.kernels or (None,) * spec.num_layers
        parts = []
        for (kernel, bias), form, torch_shape in zip(self.layers, kernels, spec.layout.torch_weights, strict=True):
            found = _as_in_torch(kernel.places, form, torch_shape)
            if found.shape != torch_shape:
                raise ZooError(f"{self.path}: {kernel} does not fit {spec}, which has {torch_shape} there in torch")
            parts += [found.reshape(-1), bias.places]
        return np.concatenate(parts)


def read_layout(path: Path) -> RowLayout:
    """Reads the file.

    Raises:
        ZooError: it is missing or has other columns, a variable is no kernel or bias, a layer lacks one of them, or the
            variables do not fill a row without gaps.
    """
    table = CSVTable(path, COLUMNS, MOST_VARIABLES)
    variables = [_variable(path, *cells) for cells in table.rows(COLUMNS)]
    variables.sort(key=lambda variable: variable.begin)
    end = 0
    for variable in variables:
        if variable.begin != end:
            raise ZooError(f"{path}: {variable} begins at {variable.begin}, where {end} was expected")
        end += math.prod(variable.shape)
    layers: dict[str, dict[str, Variable]] = {}
    for variable in variables:
        layer, _, kind = variable.name.partition(":")[0].rpartition("/")
        if kind not in ("kernel", "bias") or len(variable.shape) not in ({"kernel": (2, 4), "bias": (1,)}[kind]):
            raise ZooError(
                f"{path}: expected kernels of convolutions (height, width, in, out) and linear layers (in, out), and "
                f"their biases, found {variable}: networks with other variables cannot be imported"
            )
        if layers.setdefault(layer, {}).setdefault(kind, variable) is not variable:
            raise ZooError(f"{path}: {layer} has two variables {kind}")
    return RowLayout(path, tuple(_layer(path, name, found) for name, found in layers.items()), end)


def _as_in_torch(places: np.ndarray, form: Kernel, shape: tuple[int, ...]) -> np.ndarray:
    """Reorders (..., in, out) as (out, in, ...); maps that Keras flattens are (height, width, channels)."""
    if isinstance(form, Flattened) and places.shape == shape[::-1]:
        maps = places.reshape(*form.size, -1, shape[0])
        return np.moveaxis(maps, (-1, -2), (0, 1)).reshape(shape)
    return np.moveaxis(places, (-1, -2), (0, 1))


def _variable(path: Path, name: str, begin: str, end: str, shape: str) -> Variable:
    sides = re.fullmatch(r"[(\[]?\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*,?\s*[)\]]?", shape)
    if not (begin.isdecimal() and end.isdecimal() and sides) or max(len(begin), len(end)) > 12:
        raise ZooError(
            f"{path}: expected start_idx and end_idx as whole numbers and shape as (3, 3, 1, 16), found {begin!r}, "
            f"{end!r} and {shape!r} for {name}"
        )
    found = Variable(name, int(begin), tuple(int(side) for side in sides[1].split(",")))
    if int(end) - int(begin) != math.prod(found.shape) or 0 in found.shape:
        raise ZooError(f"{path}: {found} takes {math.prod(found.shape)} numbers, and lies in {begin}..{end}")
    return found


def _layer(path: Path, name: str, found: dict[str, Variable]) -> tuple[Variable, Variable]:
    for kind in ("kernel", "bias"):
        if kind not in found:
            raise ZooError(f"{path}: {name} has no {kind}: found {', '.join(map(str, found.values()))}")
    kernel, bias = found["kernel"], found["bias"]
    if kernel.shape[-1:] != bias.shape:
        raise ZooError(f"{path}: {kernel} and {bias} are not of one layer")
    return kernel, bias
