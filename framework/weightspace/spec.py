"""The architecture of the networks in a zoo, and the layout of their flat parameter vector."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from weightspace.activations import ACTIVATIONS
from weightspace.checks import is_number, is_whole, require
from weightspace.errors import SpecError, closest
from weightspace.layers.kernels import Kernel, checked, kernel_from_json
from weightspace.layers.layout import Layout, lacking_text

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
    ``torch.nn.Conv2d``, or ``torch.nn.Linear`` on a flattened map, has. A layer without a bias has no entries for it.

    Args:
        widths: at least three whole numbers (one hidden layer), each at least 1; at most 1,000 layers, and 10^9
            parameters.
        activation: "sine", "tanh" or "relu"; or one of them for each hidden layer.
        omega: one finite frequency > 0 per hidden layer; a single number serves all. Other than 1 only for sine.
        output_offset: finite constant added to every output.
        kernels: for each layer a ``Convolution``, ``Flattened``, or None (plain linear; after a convolution, on the
            mean over the positions of its map); empty: all are plain linear layers.
        biases: for each layer whether it has biases; empty: all have.

    Raises:
        SpecError: an entry is out of range, or no number.

    >>> spec = NetworkSpec((2, 32, 32, 1), "sine", omega=30.0)
    >>> spec.num_params, spec.num_layers, spec.omega
    (1185, 3, (30.0, 30.0))
    """

    widths: tuple[int, ...]
    activation: str | tuple[str, ...] = "sine"
    omega: tuple[float, ...] | float = 1.0
    output_offset: float = 0.0
    kernels: tuple[Kernel, ...] = ()
    biases: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        given = tuple(self.widths) if isinstance(self.widths, (tuple, list)) else ()
        whole = len(given) >= 3 and all(is_whole(w) and w >= 1 for w in given)
        expected = "at least three whole numbers >= 1 (inputs, hidden, outputs)"
        require("widths", self.widths, whole, expected, SpecError)
        widths = tuple(int(w) for w in given)
        layers = len(widths) - 1
        if layers > MAX_LAYERS:
            raise SpecError(f"a network may have {MAX_LAYERS:,} layers at most, found {layers:,}")
        kernels, biases = checked(self.kernels, layers), _checked_biases(self.biases, layers)
        layout = Layout(widths, kernels, biases)
        if layout.size > MAX_PARAMS:
            raise SpecError(f"a network may have {MAX_PARAMS:,} parameters at most, found {layout.size:,}")
        activations = _checked_activations(self.activation, layers - 1)
        omega = _checked_omega(self.omega, activations)
        require("output_offset", self.output_offset, _finite(self.output_offset), "a finite number", SpecError)
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "activation", activations[0] if len(set(activations)) == 1 else activations)
        object.__setattr__(self, "omega", omega)
        object.__setattr__(self, "kernels", kernels)
        object.__setattr__(self, "biases", biases)
        object.__setattr__(self, "output_offset", float(self.output_offset))
        object.__setattr__(self, "_layout", layout)

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
    def activations(self) -> tuple[str, ...]:
        """Name of each hidden layer's activation."""
        return (self.activation,) * (self.num_layers - 1) if isinstance(self.activation, str) else self.activation

    @property
    def symmetries(self) -> frozenset[str]:
        """Names of all neuron symmetries that leave the function unchanged (paper, section 4).

        They are those of all hidden layers: of tanh and ReLU together the permutations; phases move biases, which all
        must have.
        """
        common = frozenset.intersection(*(ACTIVATIONS[name].symmetries for name in self.activations))
        return (common if all(self.has_biases[:-1]) else common - {"phase"}) | {"permutation"}

    @property
    def positions(self) -> tuple[int, ...]:
        """k of each layer: how many weights there are between two of its neurons; 1 without a kernel."""
        return self.layout.positions

    @property
    def weight_shapes(self) -> tuple[tuple[int, ...], ...]:
        """(out, in) of each layer, or (out, in, k) if it has a kernel."""
        return self.layout.weights

    @property
    def weight_slices(self) -> tuple[slice, ...]:
        """Where each W_l lies in the flat vector."""
        return self.layout.weight_slices

    @property
    def bias_slices(self) -> tuple[slice, ...]:
        """Where each b_l lies in the flat vector; empty where a layer has none."""
        return self.layout.bias_slices

    @property
    def has_biases(self) -> tuple[bool, ...]:
        """Whether each layer has biases."""
        return self.layout.has_biases

    @property
    def layout(self) -> Layout:
        """Shapes and places of all parameters."""
        found: Layout = self.__dict__["_layout"]
        return found

    @property
    def num_params(self) -> int:
        """P, the length of the flat vector."""
        return self.layout.size

    def __str__(self) -> str:
        names = "/".join(self.activations if self.activation != self.activations[0] else self.activations[:1])
        frequencies = self.omegas[:1] if len(set(self.omegas)) == 1 else self.omegas
        known = any(ACTIVATIONS[name].has_frequency for name in self.activations)
        omega = f", omega {'/'.join(f'{o:g}' for o in frequencies)}" if known else ""
        offset = f", output {self.output_offset:+g}" if self.output_offset else ""
        kernels = "".join(f", {name}" for name in dict.fromkeys(str(kernel) for kernel in self.kernels if kernel))
        lacking = lacking_text(self.has_biases)
        return f"{'-'.join(map(str, self.widths))} {names}{omega}{offset}{kernels}{lacking}"

    def pack(self, state_dict: Mapping[str, Tensor]) -> Tensor:
        """Flattens a state_dict with alternating weights and biases to one (P,) tensor.

        Args:
            state_dict: tensors in the order of the layers; those with the names that ``unpack`` gives in any order, as
                safetensors files have them.

        Raises:
            SpecError: another number of tensors, or another shape, than this spec has.
        """
        if not isinstance(state_dict, Mapping) or not all(isinstance(t, Tensor) for t in state_dict.values()):
            raise SpecError(f"expected a state_dict of tensors, found {short(state_dict)}")
        if state_dict.keys() == set(self._keys):
            state_dict = {key: state_dict[key] for key in self._keys}
        shapes = self.layout.torch_shapes
        found = [tuple(t.shape) for t in state_dict.values()]
        if found != shapes:
            folds = any(name.endswith("running_var") for name in state_dict)
            advice = "; fold its batch normalisation first: weightspace.layers.folded(state_dict)" if folds else ""
            raise SpecError(f"state_dict does not fit {self}: expected shapes {shapes}, found {found}{advice}")
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
        shapes = self.layout.torch_shapes
        keys = keys or self._keys
        if len(keys) != len(shapes):
            raise SpecError(f"expected {len(shapes)} keys for {self}, found {len(keys)}: {keys}")
        parts = params.split([math.prod(shape) for shape in shapes])
        return {key: part.reshape(shape) for key, part, shape in zip(keys, parts, shapes, strict=True)}

    @property
    def _keys(self) -> list[str]:
        """Names of tensors by layer: "0.weight", "0.bias", "1.weight", ..."""
        kinds = enumerate(self.has_biases)
        return [f"{layer}.{kind}" for layer, has in kinds for kind in ("weight", "bias")[: 1 + has]]

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that ``from_json`` reads back to an equal spec."""
        kernels = [None if kernel is None else kernel.to_json() for kernel in self.kernels]
        return {
            "widths": list(self.widths),
            "activation": self.activation if isinstance(self.activation, str) else list(self.activation),
            "omega": list(self.omegas),
            "output_offset": self.output_offset,
            **({"kernels": kernels} if kernels else {}),
            **({"biases": list(self.biases)} if self.biases else {}),
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
            for name in ("omega", "activation", "biases"):
                if isinstance(fields.get(name), list):
                    fields[name] = tuple(fields[name])
            if "kernels" in fields:
                fields["kernels"] = tuple(map(kernel_from_json, fields["kernels"]))
            return cls(**fields)
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            known = [f.name for f in dataclasses.fields(cls)]
            raise SpecError(f"not a network spec ({error}): expected the keys {known}, found {short(data)}") from error


def _checked_activations(given: Any, hidden: int) -> tuple[str, ...]:
    """The name of each hidden layer's activation."""
    names = tuple(given) if isinstance(given, (tuple, list)) else (given,) * hidden
    for name in names:
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise SpecError(f"unknown activation {short(name)}: {closest(str(name), ACTIVATIONS)}")
    require("activation", given, len(names) == hidden, f"one, or one for each of {hidden} hidden layers", SpecError)
    return names


def _checked_omega(given: Any, activations: tuple[str, ...]) -> tuple[float, ...]:
    """The frequency of each hidden layer."""
    hidden = len(activations)
    omega = tuple(given) if isinstance(given, (tuple, list)) else (given,) * hidden
    positive = len(omega) == hidden and all(_finite(o) and o > 0 for o in omega)
    require("omega", given, positive, f"one number > 0 for each of {hidden} hidden layers", SpecError)
    for name, frequency in zip(activations, omega, strict=True):
        free = ACTIVATIONS[name].has_frequency or frequency == 1.0
        require("omega", given, free, f"1 for {name} networks, which have no frequency", SpecError)
    return tuple(float(o) for o in omega)


def _checked_biases(given: Any, layers: int) -> tuple[bool, ...]:
    """Whether each layer has biases, or nothing if all have."""
    known = isinstance(given, (tuple, list)) and all(isinstance(has, bool) for has in given)
    expected = f"true or false for each of {layers} layers"
    require("biases", given, known and len(given) in (0, layers), expected, SpecError)
    return () if all(given) else tuple(given)


def _finite(value: Any) -> bool:
    """Whether it is a number that float32 can hold."""
    return is_number(value) and -3.4e38 < value < 3.4e38
