"""Where the parameters of a chain of layers lie in a flat vector."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, pairwise

from weightspace.layers.kernels import Convolution, Kernel


class Layout:
    """Shapes and places of weights and biases, in the order of ``torch.nn.Linear``: W_1, b_1, W_2, b_2, ...

    Args:
        widths: inputs, hidden layers, outputs.
        kernels: one for each layer, or none at all.
        biases: whether each layer has one; empty: all have.

    Attributes:
        has_biases: whether each layer has any.
        positions: k of each layer: how many weights there are between two of its neurons; 1 without a kernel.
        weights: (out, in) of each layer, or (out, in, k) if it has a kernel.
        torch_weights: the same in torch: (out, in), (out, in, rows, columns), or (out, in * k).
        weight_slices: where each W_l lies.
        bias_slices: where each b_l lies; empty where there is none.
        size: length of the vector.

    >>> layout = Layout((2, 3, 1), (), (True, False))
    >>> layout.weight_slices, layout.bias_slices, layout.size
    ((slice(0, 6, None), slice(9, 12, None)), (slice(6, 9, None), slice(12, 12, None)), 12)
    """

    def __init__(self, widths: Sequence[int], kernels: Sequence[Kernel], biases: Sequence[bool]) -> None:
        layers = len(widths) - 1
        kernels = kernels or (None,) * layers
        self.has_biases = tuple(biases) or (True,) * layers
        ends = list(pairwise(widths))
        self.positions = tuple(1 if kernel is None else kernel.positions for kernel in kernels)
        self.weights: tuple[tuple[int, ...], ...] = tuple(
            (o, i) if kernel is None else (o, i, k)
            for (i, o), kernel, k in zip(ends, kernels, self.positions, strict=True)
        )
        self.torch_weights: tuple[tuple[int, ...], ...] = tuple(
            (o, i, *kernel.size) if isinstance(kernel, Convolution) else (o, i * k)
            for (i, o), kernel, k in zip(ends, kernels, self.positions, strict=True)
        )
        self.weight_slices: tuple[slice, ...] = ()
        self.bias_slices: tuple[slice, ...] = ()
        self.size = 0
        for (i, o), k, bias in zip(ends, self.positions, self.has_biases, strict=True):
            end = self.size + o * i * k
            self.weight_slices += (slice(self.size, end),)
            self.size = end + o * bias
            self.bias_slices += (slice(end, self.size),)

    @property
    def tensor_slices(self) -> tuple[slice, ...]:
        """Where all tensors lie, the weights first."""
        return (*self.weight_slices, *compress(self.bias_slices, self.has_biases))

    @property
    def torch_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all tensors of a state_dict, in order."""
        return [
            shape
            for weight, has in zip(self.torch_weights, self.has_biases, strict=True)
            for shape in (weight, weight[:1])[: 1 + has]
        ]


def lacking_text(has_biases: Sequence[bool]) -> str:
    """Which layers lack biases, in words that follow an architecture; empty: none.

    >>> lacking_text((False, True, False)), lacking_text((False, False)), lacking_text((True, True))
    (', no biases in layers 1, 3', ', no biases', '')
    """
    lacking = [str(layer) for layer, has in enumerate(has_biases, start=1) if not has]
    places = f" in layers {', '.join(lacking)}" if any(has_biases) else ""
    return f", no biases{places}" if lacking else ""
