"""Reading the architecture of a module of torch, if it is a chain of layers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from weightspace.errors import SpecError
from weightspace.layers.kernels import Convolution, Flattened, Kernel
from weightspace.spec import NetworkSpec

#: Activations as modules, functions and methods.
_ACTIVATIONS: dict[Any, str] = {
    nn.ReLU: "relu", F.relu: "relu", torch.relu: "relu", "relu": "relu",
    nn.Tanh: "tanh", F.tanh: "tanh", torch.tanh: "tanh", "tanh": "tanh",
    torch.sin: "sine", "sin": "sine",
}  # fmt: skip
#: What leaves values as they are, in evaluation.
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, "contiguous")
_FLATTEN = (nn.Flatten, torch.flatten, "flatten", "view", "reshape")
_AVERAGE = (nn.AdaptiveAvgPool2d, F.adaptive_avg_pool2d, torch.mean, "mean")
_PRODUCTS = (operator.mul, torch.mul, "mul")


@dataclass
class _Chain:
    """What has been read so far."""

    widths: list[int] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    biases: list[bool] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    omegas: list[float] = field(default_factory=list)
    factor: float = 1.0
    #: rows and columns of a map that was flattened and not read yet; whether the last map was averaged
    flattened: tuple[int, int] | None = None
    averaged: bool = False
    #: names of the layers, and of layers and their normalisation, in the order of use
    layers: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)


def spec_of(module: nn.Module, example_input: Tensor) -> NetworkSpec:
    """The architecture of a module that is a chain of layers, for instance an ``nn.Sequential``.

    Layers are ``nn.Linear`` and ``nn.Conv2d`` (one group, no dilation, padded with zeros), with biases or without.
    Between them are ReLU, tanh or a sine of constant frequency (``torch.sin(omega * x)``), and between convolutions and
    linear layers flattening or the mean over all positions. ``spec.pack(module.state_dict())`` then gives its
    parameters. Dropout counts as nothing, as in evaluation. Batch normalisation directly after a layer counts as part
    of it: then ``spec.pack(weightspace.layers.folded(module))``. Both read layers in the order of the state_dict, which
    must be that of use.

    Args:
        module: which ``torch.fx`` can trace.
        example_input: (N, d) points, or (N, C, H, W) images.

    Raises:
        SpecError: it is no such chain; names the layer.

    >>> spec_of(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), torch.zeros(1, 2))
    NetworkSpec(widths=(2, 8, 1), activation='tanh', omega=(1.0,), output_offset=0.0, kernels=(), biases=())
    """
    if not isinstance(module, nn.Module) or not isinstance(example_input, Tensor):
        found = f"{type(module).__name__} and {type(example_input).__name__}"
        raise SpecError(f"spec_of takes a module and an example of its input, found {found}")
    traced = _traced(module, example_input)
    chain, sizes = _Chain(), _sizes(traced)
    for node in traced.graph.nodes:
        if node in sizes:
            continue
        if node.op == "get_attr" or (node.op == "call_function" and node.target in (getattr, operator.getitem)):
            raise SpecError(f"{_name(node)}: a chain reads no other tensors than its layers' weights and biases")
        if node.op not in ("placeholder", "output"):
            _read(node, traced, chain, sizes)
        places = len(node.users.keys() - sizes)
        if node.op != "output" and places != 1:
            raise SpecError(f"{_name(node)}: its result goes to {places} places, and in a chain to one")
    _check_order(module, chain)
    return _spec(chain)


def _traced(module: nn.Module, example_input: Tensor) -> fx.GraphModule:
    """The module as a graph whose nodes know the shapes of their results."""
    from torch.fx.passes.shape_prop import ShapeProp

    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        traced = fx.symbolic_trace(module)
        inputs = [node for node in traced.graph.nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            raise SpecError(f"a chain has one input, found {len(inputs)}")
        with torch.no_grad():
            ShapeProp(traced).propagate(example_input)
    except SpecError:
        raise
    except Exception as error:  # of tracing, or of the module itself
        raise SpecError(f"the module cannot be followed: {' '.join(str(error).split())[:300]}") from error
    finally:
        for part, mode in modes.items():  # of which some may be kept in evaluation
            part.training = mode
    return traced


def _sizes(traced: fx.GraphModule) -> set[fx.Node]:
    """What asks for shapes alone, as in ``x.view(x.size(0), -1)``: results are known by their shapes."""
    found: set[fx.Node] = set()
    for node in traced.graph.nodes:
        shape = node.op == "call_function" and node.target is getattr and node.args[1] == "shape"
        part = node.op == "call_function" and node.target is operator.getitem and node.args[0] in found
        if shape or part or (node.op == "call_method" and node.target == "size"):
            found.add(node)
    return found


def _check_order(module: nn.Module, chain: _Chain) -> None:
    """Raises SpecError unless the module has its layers in the order of use, and no normalisation besides."""
    parts = dict(module.named_modules(remove_duplicate=False))
    tracked = {name for name, part in parts.items() if isinstance(part, _BatchNorm) and part.running_var is not None}
    found = [name for name in parts if name in tracked.union(chain.used)]
    if found != chain.used:
        raise SpecError(
            f"layers are used in the order {', '.join(chain.used)}, and the state_dict has {', '.join(found)}: define "
            "them in the order of use, and no normalisation that is not used"
        )


def _read(node: fx.Node, traced: fx.GraphModule, chain: _Chain, sizes: set[fx.Node]) -> None:
    """Adds what one node computes to the chain."""
    layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    kind: Any = type(layer) if layer is not None else node.target
    tensors = [argument for argument in node.all_input_nodes if argument not in sizes]
    if len(tensors) != 1:
        raise SpecError(f"{_name(node)}: it joins {len(tensors)} results, as skip connections do, and a chain has one")
    if isinstance(layer, nn.Linear | nn.Conv2d):
        _read_layer(node, layer, len(_shape(tensors[0])), chain)
    elif isinstance(layer, _BatchNorm):
        _read_normalisation(node, layer, chain)
    elif kind in _ACTIVATIONS:
        chain.activations.append(_ACTIVATIONS[kind])
        chain.omegas.append(chain.factor)
        chain.factor = 1.0
        if len(chain.activations) != len(chain.kernels):
            raise SpecError(f"{_name(node)}: an activation follows each layer but the last, one by one")
    elif kind in _PRODUCTS:
        if len(chain.activations) == len(chain.kernels):
            raise SpecError(f"{_name(node)}: a product stands between a layer and its sine, and not before a layer")
        factors = [x for x in (*node.args, *node.kwargs.values()) if not isinstance(x, fx.Node)]
        if len(factors) != 1:
            raise SpecError(f"{_name(node)}: a product of results is no frequency, which is a number")
        chain.factor *= float(factors[0])  # type: ignore[arg-type]
    elif kind in _FLATTEN or kind in _AVERAGE:
        _read_end_of_map(node, kind in _AVERAGE, tensors[0], chain)
    elif kind is F.dropout:
        if node.kwargs.get("training", True):
            raise SpecError(f"{_name(node)}: it drops in evaluation, too: give dropout training=self.training")
    elif kind not in _NOTHING:
        raise SpecError(f"{_name(node)}: {_kind(kind)} has no place in a chain of layers")


def _read_layer(node: fx.Node, layer: nn.Linear | nn.Conv2d, dimensions: int, chain: _Chain) -> None:
    """Adds a layer whose input has so many dimensions."""
    chain.layers.append(_used(node, chain))
    if len(chain.activations) != len(chain.kernels):
        raise SpecError(f"{_name(node)}: there is no activation between it and the layer before")
    if isinstance(layer, nn.Conv2d):
        plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
        if chain.averaged:
            raise SpecError(f"{_name(node)}: a convolution of a map that was averaged; a linear layer reads it")
        if not plain or isinstance(layer.padding, str):
            raise SpecError(
                f"{_name(node)}: a convolution of one group without dilation, padded by a number of zeros, is needed, "
                f"found {layer}"
            )
        sizes = layer.in_channels, layer.out_channels
        kernel: Kernel = Convolution(layer.kernel_size, layer.stride, layer.padding)
    else:
        if dimensions != 2:
            raise SpecError(f"{_name(node)}: a linear layer reads vectors (N, d): flatten or average the map before it")
        if chain.flattened is not None and not chain.kernels:
            raise SpecError(
                f"{_name(node)}: images are flattened before any convolution: give an example of vectors "
                f"(N, {layer.in_features})"
            )
        kernel = None if chain.flattened is None else Flattened(chain.flattened)
        positions = 1 if kernel is None else kernel.positions
        sizes = layer.in_features // positions, layer.out_features
    chain.flattened = None
    chain.widths += [sizes[0]] * (not chain.widths) + [sizes[1]]
    chain.kernels.append(kernel)
    chain.biases.append(layer.bias is not None)


def _used(node: fx.Node, chain: _Chain) -> str:
    """The name of a layer, or of a normalisation, which is used now."""
    name = str(node.target)
    if name in chain.used:
        raise SpecError(f"{_name(node)}: it is used twice, and in a chain each layer has weights of its own")
    chain.used.append(name)
    return name


def _read_normalisation(node: fx.Node, layer: _BatchNorm, chain: _Chain) -> None:
    """Normalisation of what a layer computes, which is then part of that layer."""
    if str(node.all_input_nodes[0].target) not in chain.layers:
        raise SpecError(f"{_name(node)}: batch normalisation can be folded directly after a layer only")
    _used(node, chain)
    if layer.running_var is None:
        raise SpecError(f"{_name(node)}: it keeps no running statistics, and normalises by each batch")
    chain.biases[-1] = True


def _read_end_of_map(node: fx.Node, average: bool, before: fx.Node, chain: _Chain) -> None:
    """A map that is flattened or averaged; of what is no map, flattening changes nothing."""
    given, result = _shape(before), _shape(node)
    if len(given) != 4:
        if given != result:
            raise SpecError(f"{_name(node)}: it changes the shape {tuple(given)} to {tuple(result)}")
        return
    if average:
        if result[:2] != given[:2] or any(side != 1 for side in result[2:]):
            raise SpecError(f"{_name(node)}: a map is averaged over all its positions here, not to {tuple(result)}")
        if node.target in (torch.mean, "mean") and not _over_positions(node, given):
            raise SpecError(f"{_name(node)}: a map is averaged over its rows and columns, dimensions 2 and 3")
        activated = 0 < len(chain.kernels) == len(chain.activations) and chain.factor == 1
        if given[2] * given[3] > 1 and not activated:
            raise SpecError(f"{_name(node)}: a map is averaged after a convolution's activation, not before it")
        chain.averaged = True
    elif tuple(result) != (given[0], given[1] * given[2] * given[3]):
        raise SpecError(f"{_name(node)}: it changes the shape {tuple(given)} to {tuple(result)}")
    elif chain.kernels or given[2] * given[3] > 1:
        chain.flattened = None if chain.averaged else (given[2], given[3])


def _over_positions(node: fx.Node, shape: tuple[int, ...]) -> bool:
    """Whether a mean is over the last two dimensions of a map, as far as these have more than one entry."""
    dims: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    if dims is None:
        return False
    chosen = {int(dim) % 4 for dim in (dims if isinstance(dims, list | tuple) else [dims])}
    return chosen <= {2, 3} and all(dim in chosen or shape[dim] == 1 for dim in (2, 3))


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape)


def _spec(chain: _Chain) -> NetworkSpec:
    if len(chain.kernels) < 2:
        raise SpecError(f"a network has two layers or more, found {len(chain.kernels)}")
    if len(chain.activations) == len(chain.kernels):
        raise SpecError(f"the last layer is linear, and {chain.activations[-1]} follows it")
    if chain.factor != 1:
        raise SpecError("a product stands where no sine follows it")
    kernels, biases = tuple(chain.kernels), tuple(chain.biases)
    return NetworkSpec(tuple(chain.widths), tuple(chain.activations), tuple(chain.omegas), 0.0, kernels, biases)


def _name(node: fx.Node) -> str:
    return f"layer {node.target}" if node.op == "call_module" else f"{node.name} (after {_before(node)})"


def _before(node: fx.Node) -> str:
    return ", ".join(str(source.target) for source in node.all_input_nodes) or "nothing"


def _kind(kind: Callable[..., Any] | type | str) -> str:
    return kind if isinstance(kind, str) else str(getattr(kind, "__name__", kind))
