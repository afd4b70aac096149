"""The architecture of the networks in a zoo, and the layout of their flat parameter vector."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from weightspace.activations import ACTIVATIONS
from weightspace.checks import is_number, is_whole, require
from weightspace.errors import SpecError, closest
from weightspace.layers.kernels import Convolution, Kernel, checked, kernel_from_json

#: What a network may have at most: more is a mistake, or a file that claims what it does not hold.
MAX_LAYERS, MAX_PARAMS = 1_000, 1_000_000_000


@dataclass(frozen=True)
class NetworkSpec:
    """A chain of layers: ``widths[0]`` inputs, hidden layers, ``widths[-1]`` outputs; fully connected, unless it has
    kernels: then it reads images of ``widths[0]`` channels, and its hidden neurons are channels.

    Hidden layers compute ``activation(omega * (W x + b))`` (``omega`` is 1 unless the activation
    is sine); the last layer is linear and adds the constant ``output_offset``.

    The flat vector of a network has ``num_params`` entries in the order of ``torch.nn.Linear``:
    W_1 (out, in) row-major, b_1, W_2, b_2, ...; a layer with a kernel has weights (out, in, positions), as
    ``torch.nn.Conv2d``, or ``torch.nn.Linear`` on a flattened map, has.

    Args:
        widths: at least three whole numbers (one hidden layer), each at least 1; at most 1,000 layers, and 10^9
            parameters.
        activation: "sine", "tanh" or "relu".
        omega: one finite frequency > 0 per hidden layer; a single number serves all. Only for sine.
        output_offset: finite constant added to every output.
        kernels: for each layer a ``Convolution``, ``Flattened``, or None (plain linear; after a convolution, on the
            mean over the positions of its map); empty: all are plain linear layers.

    Raises:
        SpecError: an entry is out of range, or no number.

    >>> spec = NetworkSpec((2, 32, 32, 1), "sine", omega=30.0)
    >>> spec.num_params, spec.num_layers, spec.omega
    (1185, 3, (30.0, 30.0))
    """

    widths: tuple[int, ...]
    activation: str = "sine"
    omega: tuple[float, ...] | float = 1.0
    output_offset: float = 0.0
    kernels: tuple[Kernel, ...] = ()

    def __post_init__(self) -> None:
        given = tuple(self.widths) if isinstance(self.widths, (tuple, list)) else ()
        whole = len(given) >= 3 and all(is_whole(w) and w >= 1 for w in given)
        expected = "at least three whole numbers >= 1 (inputs, hidden, outputs)"
        require("widths", self.widths, whole, expected, SpecError)
        widths = tuple(int(w) for w in given)
        kernels = checked(self.kernels, len(widths) - 1)
        positions = tuple(1 if kernel is None else kernel.positions for kernel in kernels) or (1,) * (len(widths) - 1)
        size = sum(o * (i * k + 1) for (i, o), k in zip(pairwise(widths), positions, strict=True))
        if len(widths) > MAX_LAYERS + 1 or size > MAX_PARAMS:
            raise SpecError(
                f"a network may have {MAX_LAYERS:,} layers and {MAX_PARAMS:,} parameters at most, "
                f"found {len(widths) - 1:,} and {size:,}"
            )
        if not isinstance(self.activation, str) or self.activation not in ACTIVATIONS:
            raise SpecError(
                f"unknown activation {short(self.activation)}: {closest(str(self.activation), ACTIVATIONS)}"
            )
        hidden = len(widths) - 2
        omega = self.omega if isinstance(self.omega, (tuple, list)) else (self.omega,) * hidden
        positive = len(omega) == hidden and all(_finite(o) and o > 0 for o in omega)
        require("omega", self.omega, positive, f"one number > 0 for each of {hidden} hidden layers", SpecError)
        omega = tuple(float(o) for o in omega)
        free = ACTIVATIONS[self.activation].has_frequency or set(omega) == {1.0}
        require("omega", self.omega, free, f"1 for {self.activation} networks, which have no frequency", SpecError)
        require("output_offset", self.output_offset, _finite(self.output_offset), "a finite number", SpecError)
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "omega", omega)
        object.__setattr__(self, "kernels", kernels)
        object.__setattr__(self, "_positions", positions)
        object.__setattr__(self, "output_offset", float(self.output_offset))
        object.__setattr__(self, "_slices", self._layout())

    @property
    def num_layers(self) -> int:
        """Number of linear layers."""
        return len(self.widths) - 1

    @property
    def in_dim(self) -> int:
        """Number of inputs (coordinates)."""
        return self.widths[0]

    @property
    def coordinates(self) -> int:
        """Number of coordinates of the points that a network is a function of; 0: it reads images."""
        return 0 if self.kernels else self.in_dim

    @property
    def out_dim(self) -> int:
        """Number of outputs (channels)."""
        return self.widths[-1]

    @property
    def omegas(self) -> tuple[float, ...]:
        """Frequency per hidden layer (all 1 unless the activation is sine)."""
        assert isinstance(self.omega, tuple)
        return self.omega

    @property
    def symmetries(self) -> frozenset[str]:
        """Names of all neuron symmetries that leave the function unchanged (paper, section 4)."""
        return ACTIVATIONS[self.activation].symmetries | {"permutation"}

    @property
    def positions(self) -> tuple[int, ...]:
        """k of each layer: how many weights there are between two of its neurons; 1 without a kernel."""
        return self.__dict__["_positions"]

    @property
    def weight_shapes(self) -> tuple[tuple[int, ...], ...]:
        """(out, in) of each layer, or (out, in, k) if it has a kernel."""
        kernels = self.kernels or (None,) * self.num_layers
        pairs = zip(pairwise(self.widths), kernels, self.positions, strict=True)
        return tuple((o, i) if kernel is None else (o, i, k) for (i, o), kernel, k in pairs)

    @property
    def torch_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each layer's weights in torch: (out, in), (out, in, rows, columns), or (out, in * k)."""
        kernels = self.kernels or (None,) * self.num_layers
        return tuple(
            (o, i, *kernel.size) if isinstance(kernel, Convolution) else (o, i * k)
            for (i, o), kernel, k in zip(pairwise(self.widths), kernels, self.positions, strict=True)
        )

    @property
    def weight_slices(self) -> tuple[slice, ...]:
        """Where each W_l lies in the flat vector."""
        return self.__dict__["_slices"][0]

    @property
    def bias_slices(self) -> tuple[slice, ...]:
        """Where each b_l lies in the flat vector."""
        return self.__dict__["_slices"][1]

    def _layout(self) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        weights, biases, position = [], [], 0
        for (i, o), k in zip(pairwise(self.widths), self.positions, strict=True):
            end = position + o * i * k
            weights.append(slice(position, end))
            biases.append(slice(end, end + o))
            position = end + o
        return tuple(weights), tuple(biases)

    @property
    def num_params(self) -> int:
        """P, the length of the flat vector."""
        return self.bias_slices[-1].stop

    def __str__(self) -> str:
        frequencies = self.omegas[:1] if len(set(self.omegas)) == 1 else self.omegas
        omega = (
            f", omega {'/'.join(f'{o:g}' for o in frequencies)}" if ACTIVATIONS[self.activation].has_frequency else ""
        )
        offset = f", output {self.output_offset:+g}" if self.output_offset else ""
        kernels = "".join(f", {name}" for name in dict.fromkeys(str(kernel) for kernel in self.kernels if kernel))
        return f"{'-'.join(map(str, self.widths))} {self.activation}{omega}{offset}{kernels}"

    def pack(self, state_dict: Mapping[str, Tensor]) -> Tensor:
        """Flattens a state_dict with alternating weights and biases to one (P,) tensor.

        Raises:
            SpecError: another number of tensors, or another shape, than this spec has.
        """
        shapes = [shape for weight in self.torch_shapes for shape in (weight, weight[:1])]
        found = [tuple(t.shape) for t in state_dict.values()]
        if found != shapes:
            raise SpecError(f"state_dict does not fit {self}: expected shapes {shapes}, found {found}")
        return torch.cat([t.reshape(-1) for t in state_dict.values()])

    def unpack(self, params: Tensor, keys: list[str] | None = None) -> dict[str, Tensor]:
        """Splits a (P,) tensor into a state_dict.

        Args:
            params: flat vector of one network.
            keys: names in the order weight, bias, weight, ...; default "0.weight", "0.bias", "1.weight", ...

        Raises:
            SpecError: params or keys do not fit this spec.
        """
        if tuple(params.shape) != (self.num_params,):
            raise SpecError(f"expected a vector of {self.num_params} entries for {self}, found {tuple(params.shape)}")
        keys = keys or [f"{layer}.{kind}" for layer in range(self.num_layers) for kind in ("weight", "bias")]
        if len(keys) != 2 * self.num_layers:
            raise SpecError(f"expected {2 * self.num_layers} keys for {self}, found {len(keys)}: {keys}")
        tensors: list[Tensor] = []
        for shape, w, b in zip(self.torch_shapes, self.weight_slices, self.bias_slices, strict=True):
            tensors += [params[w].reshape(shape), params[b]]
        return dict(zip(keys, tensors, strict=True))

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that ``from_json`` reads back to an equal spec."""
        kernels = [None if kernel is None else kernel.to_json() for kernel in self.kernels]
        return {
            "widths": list(self.widths),
            "activation": self.activation,
            "omega": list(self.omegas),
            "output_offset": self.output_offset,
            **({"kernels": kernels} if kernels else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str) -> NetworkSpec:
        """Reads what ``to_json`` wrote (a mapping, or its JSON text).

        Raises:
            SpecError: an unknown or missing key, or a value out of range.
        """
        try:
            fields = dict(json.loads(data) if isinstance(data, str) else data)
            fields["widths"] = tuple(fields["widths"])
            if isinstance(fields.get("omega"), list):
                fields["omega"] = tuple(fields["omega"])
            if "kernels" in fields:
                fields["kernels"] = tuple(map(kernel_from_json, fields["kernels"]))
            return cls(**fields)
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            known = [f.name for f in dataclasses.fields(cls)]
            raise SpecError(f"not a network spec ({error}): expected the keys {known}, found {short(data)}") from error


def _finite(value: Any) -> bool:
    """Whether it is a number that float32 can hold."""
    return is_number(value) and -3.4e38 < value < 3.4e38
