"""Layers whose weights have several positions: convolutions, and linear layers on maps that are flattened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightspace.checks import is_whole, require
from weightspace.errors import SpecError

#: Largest side of a kernel, stride, padding or map.
LARGEST = 100_000
#: Rows and columns, or one number for both.
Pair = int | Sequence[int]


def _pair(name: str, value: Any, low: int) -> tuple[int, int]:
    """Two whole numbers: of rows and of columns."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    known = len(pair) == 2 and all(is_whole(side) and low <= side <= LARGEST for side in pair)
    require(name, value, known, f"a whole number in {low}..{LARGEST}, or two (rows and columns)", SpecError)
    return int(pair[0]), int(pair[1])


@dataclass(frozen=True, init=False)
class Convolution:
    """A layer that is a 2-D convolution, as ``torch.nn.Conv2d`` of one group without dilation, padded with zeros.

    Args:
        size: rows and columns of the kernel, >= 1; one number is for both.
        stride: steps between its places, >= 1.
        padding: rows and columns of zeros around the map, >= 0.

    Raises:
        SpecError: a value out of range.

    >>> Convolution(3, stride=2, padding=1).result((28, 28))
    (14, 14)
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def __init__(self, size: Pair, stride: Pair = 1, padding: Pair = 0) -> None:
        for name, value, low in (("size", size, 1), ("stride", stride, 1), ("padding", padding, 0)):
            object.__setattr__(self, name, _pair(f"Convolution: {name}", value, low))

    @property
    def positions(self) -> int:
        """Number of weights between two channels."""
        return self.size[0] * self.size[1]

    def result(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the result for a map of this size.

        Raises:
            SpecError: the map is smaller than the kernel.
        """
        sides = [
            (side + 2 * padding - kernel) // stride + 1
            for side, padding, kernel, stride in zip(size, self.padding, self.size, self.stride, strict=True)
        ]
        if min(sides) < 1:
            raise SpecError(f"a map of {size[0]} x {size[1]} is smaller than the kernel of {self}")
        return sides[0], sides[1]

    def __str__(self) -> str:
        stride = "" if self.stride == (1, 1) else f"/{_sides(self.stride)}"
        padding = "" if self.padding == (0, 0) else f"+{_sides(self.padding)}"
        return f"conv {self.size[0]}x{self.size[1]}{stride}{padding}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that ``kernel_from_json`` reads."""
        return {"kind": "convolution", "size": [*self.size], "stride": [*self.stride], "padding": [*self.padding]}


@dataclass(frozen=True, init=False)
class Flattened:
    """A linear layer on a map that is flattened: a channel has a weight for each of its positions.

    Args:
        size: rows and columns of the map, >= 1; one number is for both.

    Raises:
        SpecError: a value out of range.
    """

    size: tuple[int, int]

    def __init__(self, size: Pair) -> None:
        object.__setattr__(self, "size", _pair("Flattened: size", size, 1))

    @property
    def positions(self) -> int:
        """Number of weights between a channel and a neuron."""
        return self.size[0] * self.size[1]

    def __str__(self) -> str:
        return f"flat {self.size[0]}x{self.size[1]}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that ``kernel_from_json`` reads."""
        return {"kind": "flattened", "size": [*self.size]}


#: How a layer's weights meet its inputs; None: one weight for each, as in ``torch.nn.Linear``.
Kernel = Convolution | Flattened | None


def kernel_from_json(data: Any) -> Kernel:
    """Reads what ``to_json`` of a kernel has written; null: a plain linear layer.

    Raises:
        SpecError: it describes no kernel.
    """
    if data is None:
        return None
    kinds: dict[Any, type[Convolution | Flattened]] = {"convolution": Convolution, "flattened": Flattened}
    if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str) or data["kind"] not in kinds:
        raise SpecError(f"a kernel is null, or has a kind, {' or '.join(kinds)}; found {data!r:.100}")
    try:
        return kinds[data["kind"]](**{name: value for name, value in data.items() if name != "kind"})
    except TypeError as error:
        raise SpecError(f"not a kernel ({error}): {data!r:.100}") from error


def checked(kernels: Any, layers: int) -> tuple[Kernel, ...]:
    """The kernels of all layers, or none if all are plain linear layers.

    Args:
        kernels: one for each layer, or none at all.
        layers: number of layers.

    Raises:
        SpecError: another number, or an order that no chain has: convolutions come first, then the layer that reads
            the last map, flattened or averaged over its positions (a plain linear layer), then linear layers.
    """
    given: Sequence[Any] = kernels if isinstance(kernels, tuple | list) else (kernels,)
    known = all(kernel is None or isinstance(kernel, Convolution | Flattened) for kernel in given)
    require("kernels", kernels, known, "a Convolution, a Flattened or None for each layer", SpecError)
    if not any(given):
        return ()
    if len(given) != layers:
        raise SpecError(f"kernels should be one for each of {layers} layers, found {len(given)}")
    convolutions = sum(isinstance(kernel, Convolution) for kernel in given)
    in_order = all(isinstance(kernel, Convolution) for kernel in given[:convolutions])
    flattened = any(isinstance(kernel, Flattened) for kernel in given[convolutions + 1 :])
    if not convolutions or not in_order or flattened or convolutions == layers:
        named = ", ".join("linear" if kernel is None else str(kernel) for kernel in given)
        raise SpecError(
            "convolutions come first, then one layer on the last map, flattened or averaged, then linear layers, of "
            f"which there is one at least; found {named}"
        )
    return tuple(given)


def _sides(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
