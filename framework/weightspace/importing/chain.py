"""The chain of layers that the tensors of a file are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from weightspace.errors import SpecError
from weightspace.files.names import natural
from weightspace.importing.network_part import NetworkError
from weightspace.importing.order import layer_order
from weightspace.layers.layout import lacking_text
from weightspace.layers.normalisation import EPS, folded
from weightspace.spec import NetworkSpec


class Chain(NamedTuple):
    """A fully connected network: its widths, and whether each layer has biases."""

    widths: tuple[int, ...]
    biases: tuple[bool, ...]

    def __str__(self) -> str:
        return "-".join(map(str, self.widths)) + lacking_text(self.biases)


def layers(tensors: dict[str, Tensor], ordered: bool, norm_eps: float | None = None) -> list[Tensor]:
    """W_1, b_1, W_2, b_2, ... of a chain of linear layers and convolutions, those biases that there are.

    Batch normalisation is folded into the layers before it.

    Args:
        tensors: by name.
        ordered: whether their order is that of the layers; else it is found, see ``layer_order``.
        norm_eps: what batch normalisation adds to variances; None: 1e-5.

    Raises:
        NetworkError: other tensors, layers in no order that is known, normalisation of which it is not known which
            layer it follows, or none at all where ``norm_eps`` is given.
    """
    normalised = any(key.rpartition(".")[2] == "running_var" for key in tensors)
    prefixes = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    if not ordered:
        prefixes = sorted(prefixes, key=natural) if normalised else layer_order(prefixes, tensors)
    if normalised:
        if not ordered and not _numbered(prefixes, tensors):
            raise NetworkError(
                f"batch normalisation in a file without order, in layers called {', '.join(prefixes)}: which layer it "
                "follows is not known. Save weightspace.layers.folded(module), or a file of torch"
            )
        in_order = {key: t for prefix in prefixes for key, t in tensors.items() if key.rpartition(".")[0] == prefix}
        try:
            tensors = folded(in_order, EPS if norm_eps is None else norm_eps)
        except SpecError as error:
            raise NetworkError(str(error)) from error
        prefixes = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    elif norm_eps is not None:
        raise NetworkError("it has no batch normalisation, which norm_eps is for: leave that out")
    found: list[Tensor] = []
    for prefix in prefixes:
        weight, bias = (tensors.get(f"{prefix}.{kind}" if prefix else kind) for kind in ("weight", "bias"))
        if weight is None or weight.ndim not in (2, 4) or (bias is not None and bias.ndim != 1):
            raise NetworkError(
                "expected layers with a matrix 'weight' and, unless they have none, a vector 'bias', found "
                f"{_shapes(tensors)}{_parts(tensors)}"
            )
        found += [weight] if bias is None else [weight, bias]
    if len(found) != len(tensors):
        raise NetworkError(f"expected weights and biases only, found {_shapes(tensors)}")
    return found


def _numbered(prefixes: Sequence[str], tensors: Mapping[str, Tensor]) -> bool:
    """Whether numbers say which layer each normalisation follows: one of the same list, as 0 and 1 of a Sequential."""
    parents = [prefix.rpartition(".")[0] for prefix in prefixes]
    beside = all(
        parent == before
        for before, parent, prefix in zip(parents, parents[1:], prefixes[1:], strict=False)
        if f"{prefix}.running_var" in tensors
    )
    return beside and all(prefix.rpartition(".")[2].isdecimal() for prefix in prefixes)


def chain_of(tensors: Sequence[Tensor]) -> Chain:
    """The fully connected network with these weights and biases, W_1, b_1, W_2, ...

    Raises:
        ValueError: there is no hidden layer, the shapes of successive layers do not match, or there are convolutions.
    """
    if any(tensor.ndim > 2 for tensor in tensors):
        raise ValueError(
            "it has convolutions, whose strides cannot be read from weights: give spec, a JSON file with their "
            "architecture, for instance json.dump(ws.spec_of(module, images).to_json(), file)"
        )
    widths: list[int] = []
    biases: list[bool] = []
    for tensor in tensors:
        last = widths[-1] if widths else tensor.shape[-1]
        if tensor.shape[-1] != last or (tensor.ndim == 1 and (not biases or biases[-1])):
            shapes = [tuple(tensor.shape) for tensor in tensors]
            raise ValueError(f"layer {max(len(biases) - (tensor.ndim == 1), 0)} does not follow: found {shapes}")
        if tensor.ndim == 1:
            biases[-1] = True
        else:
            widths += [last] * (not widths) + [tensor.shape[0]]
            biases.append(False)
    if len(biases) < 2:
        raise ValueError(f"expected at least two layers, found {len(biases)}")
    return Chain(tuple(widths), tuple(biases))


def check_fits(tensors: Sequence[Tensor], spec: NetworkSpec) -> None:
    """Raises ValueError unless these weights and biases are those of a network of this architecture."""
    expected, found = spec.layout.torch_shapes, [tuple(tensor.shape) for tensor in tensors]
    if found == expected:
        return
    if spec.kernels:
        raise ValueError(f"another architecture: tensors {found}, and {spec} has {expected}")
    raise ValueError(f"another architecture: {chain_of(tensors)}")


def _parts(tensors: dict[str, Tensor]) -> str:
    """Lists prefixes of the tensors' names as a hint for ``key``."""
    parts = dict.fromkeys(name.partition(".")[0] for name in tensors if name.count(".") > 1)
    return f": choose a part of it by key {' or '.join(parts)}" if len(parts) > 1 else ""


def _shapes(tensors: dict[str, Tensor]) -> str:
    shown = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:8]]
    return ", ".join(shown) + (", ..." if len(tensors) > 8 else "")
