"""DWS: layers that commute with every permutation of hidden neurons (Navon et al., arXiv 2301.12780).

Layout. Input and output neurons keep their place, so a weight matrix that touches them is a feature of the hidden
neurons at its other end. What remains is a layered graph:

    nodes[l]   (B, n_l, F_l)          hidden layer l: its bias, W_1's row if it is the first, W_L's column if the last
    edges[l]   (B, n_{l+1}, n_l, C)   the weights between hidden layers l and l + 1
    outer      (B, F)                 the output biases

An equivariant map of an edge is a pointwise map of itself, plus terms of its row's neuron, of its column's neuron, and
of the whole network; of a node, a pointwise map of itself and of the pooled edges at both sides, plus terms of the
whole network. With mean pooling these span all linear equivariant maps, and nothing of size n x n x n is built.

Two choices go beyond the paper; ``benchmarks/README.md`` says what they bring. Means of raw weights are mostly noise
(the signs of neurons are arbitrary), so a pointwise layer comes before the first pooling. And a layer's output is
multiplied by a pointwise map of its input: functions of a network are sums of products of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightspace.backbones.base import Backbone, Normaliser, check_sizes
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


class Features(NamedTuple):
    """Features of a batch of networks, see the module's layout."""

    nodes: list[Tensor]
    edges: list[Tensor]
    outer: Tensor

    def each(self) -> list[Tensor]:
        """In the order nodes, edges, outer."""
        return [*self.nodes, *self.edges, self.outer]

    def like(self, tensors: list[Tensor]) -> Features:
        """Features of these tensors, in the order of ``each``."""
        count = len(self.nodes)
        return Features(tensors[:count], tensors[count:-1], tensors[-1])


class Widths(NamedTuple):
    """Number of features of each tensor of ``Features``."""

    nodes: tuple[int, ...]
    edge: int
    outer: int

    @classmethod
    def of(cls, spec: NetworkSpec, channels: int) -> Widths:
        """Every parameter of the network carries ``channels`` features."""
        hidden = len(spec.widths) - 2
        nodes = [channels] * hidden
        nodes[0] += channels * spec.in_dim
        nodes[-1] += channels * spec.out_dim
        return cls(tuple(nodes), channels, channels * spec.out_dim)

    def each(self) -> list[int]:
        """In the order nodes, edges, outer."""
        return [*self.nodes, *[self.edge] * (len(self.nodes) - 1), self.outer]

    def modules(self, module: Callable[[int], nn.Module]) -> Pointwise:
        """One module per tensor of neurons, made from its width. Edges pass unchanged: see ``EquivariantLayer``."""
        edges = [nn.Identity() for _ in self.nodes[1:]]
        return Pointwise([*map(module, self.nodes), *edges, module(self.outer)])


def features(params: Tensor, spec: NetworkSpec) -> Features:
    """One feature per parameter, from (B, P)."""
    weights = [
        params[:, s].unflatten(1, shape) for s, shape in zip(spec.weight_slices, spec.weight_shapes, strict=True)
    ]
    biases = [params[:, s] for s in spec.bias_slices]
    nodes = [[bias.unsqueeze(2)] for bias in biases[:-1]]
    nodes[0].append(weights[0])
    nodes[-1].append(weights[-1].transpose(1, 2))
    edges = [weight.unsqueeze(3) for weight in weights[1:-1]]
    return Features([torch.cat(parts, dim=2) for parts in nodes], edges, biases[-1])


class EquivariantLinear(nn.Module):
    """An affine map of features that commutes with permutations of the hidden neurons.

    Args:
        widths_in, widths_out: numbers of features.
        pool: "mean" (the full space of linear equivariant maps) or "max" (not linear).
    """

    def __init__(self, widths_in: Widths, widths_out: Widths, pool: str) -> None:
        super().__init__()
        layers = len(widths_in.nodes)
        self._pool = _pooling(pool)
        edge = widths_in.edge
        # a neuron sees itself and the pooled edges at the sides where there are any
        seen = [n + edge * ((layer > 0) + (layer < layers - 1)) for layer, n in enumerate(widths_in.nodes)]
        self._node_outputs = [
            (n, widths_out.edge * (layer > 0), widths_out.edge * (layer < layers - 1))
            for layer, n in enumerate(widths_out.nodes)
        ]
        self.node = nn.ModuleList(
            nn.Linear(width, sum(out), bias=False) for width, out in zip(seen, self._node_outputs, strict=True)
        )
        self.edge = nn.ModuleList(nn.Linear(edge, widths_out.edge, bias=False) for _ in range(layers - 1))
        self._whole_outputs = widths_out.each()
        self.whole = nn.Linear(sum(widths_in.each()), sum(self._whole_outputs))

    def forward(self, x: Features) -> Features:
        """The mapped features."""
        rows = [self._pool(edge, 2) for edge in x.edges]
        columns = [self._pool(edge, 1) for edge in x.edges]
        whole = [self._pool(node, 1) for node in x.nodes] + [self._pool(row, 1) for row in rows] + [x.outer]
        terms = self.whole(torch.cat(whole, dim=1)).split(self._whole_outputs, dim=1)
        nodes, from_rows, from_columns = [], [], []
        for layer, (node, linear) in enumerate(zip(x.nodes, self.node, strict=True)):
            seen = [node, *rows[max(layer - 1, 0) : layer], *columns[layer : layer + 1]]
            own, as_row, as_column = linear(torch.cat(seen, dim=2)).split(self._node_outputs[layer], dim=2)
            nodes.append(own + terms[layer].unsqueeze(1))
            from_rows.append(as_row)
            from_columns.append(as_column)
        edges = []
        for layer, (edge, linear) in enumerate(zip(x.edges, self.edge, strict=True)):
            row = from_rows[layer + 1] + terms[len(nodes) + layer].unsqueeze(1)
            edges.append(linear(edge) + row.unsqueeze(2) + from_columns[layer].unsqueeze(1))
        return Features(nodes, edges, terms[-1])


class Pointwise(nn.Module):
    """A map of its own for each tensor of ``Features``, the same for all its entries."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(modules)

    def forward(self, x: Features) -> Features:
        """The mapped features."""
        return x.like([module(tensor) for module, tensor in zip(self.maps, x.each(), strict=True)])


class EquivariantLayer(nn.Module):
    """x + silu(norm(linear(x))) * gate(x), with ``linear`` equivariant and ``gate`` pointwise.

    On edges, norm and gate are the identity: there are far more edges than neurons, and the same accuracy was
    measured with a norm and a linear gate there at two thirds of the speed (benchmarks/README.md).

    Args:
        widths: number of features, in and out.
        pool, norm, gate, residual: see ``DWS``.
    """

    def __init__(self, widths: Widths, pool: str, norm: str, gate: bool, residual: bool) -> None:
        super().__init__()
        self.linear = EquivariantLinear(widths, widths, pool)
        self.norm = widths.modules(nn.LayerNorm if norm == "layer" else lambda _: nn.Identity())
        self.gate = widths.modules(lambda width: nn.Linear(width, width)) if gate else None
        self.residual = residual

    def forward(self, x: Features) -> Features:
        """The mapped features."""
        y = [F.silu(tensor) for tensor in self.norm(self.linear(x)).each()]
        if self.gate is not None and self.residual:
            y = [torch.addcmul(a, b, c) for a, b, c in zip(x.each(), y, self.gate(x).each(), strict=True)]
        elif self.gate is not None:
            y = [b * c for b, c in zip(y, self.gate(x).each(), strict=True)]
        elif self.residual:
            y = [a + b for a, b in zip(x.each(), y, strict=True)]
        return x.like(y)


class DWS(Backbone):
    """A pointwise layer, equivariant layers, pooling over the neurons, and a multi-layer perceptron.

    Args:
        spec: architecture of the networks: any depth from one hidden layer, any widths.
        out_dim: length of the result.
        hidden: features per parameter, >= 1.
        layers: number of equivariant layers, >= 1.
        head: width of the hidden layer of the invariant head.
        pool: "mean" or "max".
        norm: "layer" (over the features of each neuron: independent of the batch) or "none".
        gate: multiply each layer's output by a pointwise map of its input.
        residual: add each layer's input to its output.
        dropout: in [0, 1), before each layer of the head.

    Raises:
        ConfigError: a value out of range.
    """

    invariant_to: ClassVar[frozenset[str]] = frozenset({"permutation"})

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        hidden: int = 16,
        layers: int = 3,
        head: int = 64,
        pool: str = "mean",
        norm: str = "layer",
        gate: bool = True,
        residual: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(spec, out_dim, Normaliser(spec, per="tensor"))
        check_sizes("DWS", dropout, hidden=hidden, layers=layers, head=head)
        if norm not in ("layer", "none"):
            raise ConfigError(f"DWS: norm must be 'layer' or 'none', found {norm!r}")
        self._pool = _pooling(pool)
        raw, widths = Widths.of(spec, 1), Widths.of(spec, hidden)
        self.embedding = Pointwise(nn.Linear(a, b) for a, b in zip(raw.each(), widths.each(), strict=True))
        self.layers = nn.Sequential(*(EquivariantLayer(widths, pool, norm, gate, residual) for _ in range(layers)))
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(sum(widths.each()), head),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(head, out_dim),
        )

    def encode(self, params: Tensor) -> Tensor:
        """(B, out_dim)."""
        x = self.equivariant(params)
        pooled = [self._pool(node, 1) for node in x.nodes] + [self._pool(edge.flatten(1, 2), 1) for edge in x.edges]
        result: Tensor = self.head(torch.cat([*pooled, x.outer], dim=1))
        return result

    def equivariant(self, params: Tensor) -> Features:
        """Features after the equivariant layers, from (B, P): permuting the networks' neurons permutes them alike."""
        x = self.embedding(features(params, self.spec))
        result: Features = self.layers(x.like([F.silu(tensor) for tensor in x.each()]))
        return result


def _pooling(name: str) -> Callable[[Tensor, int], Tensor]:
    if name not in ("mean", "max"):
        raise ConfigError(f"DWS: pool must be 'mean' or 'max', found {name!r}")
    return (lambda x, dim: x.mean(dim)) if name == "mean" else (lambda x, dim: x.amax(dim))
