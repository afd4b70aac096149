"""DWS: layers that commute with every permutation of hidden neurons (Navon et al., arXiv 2301.12780).

In the layout of ``weightspace.backbones.features``, an equivariant map of an edge is a pointwise map of itself, plus
terms of its row's neuron, of its column's neuron, and of the entire network; of a node, a pointwise map of itself and
of the pooled edges at both sides, plus terms of the entire network. With mean pooling these span all linear
equivariant maps (weight to weight of the same, the neighbouring and distant layers, weight to bias, bias to weight,
bias to bias), and nothing of size n x n x n is built.

Two choices go beyond the paper; ``benchmarks/README.md`` says what they bring. Means of raw weights are mostly noise
(the signs of neurons are arbitrary), so a pointwise layer comes before the first pooling. And a layer's output is
multiplied by a pointwise map of its input: functions of a network are sums of products of its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightspace.backbones.base import Backbone
from weightspace.backbones.features import Features, Pointwise, Widths, features, flat
from weightspace.backbones.linear import Linear
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.output import gives_weights
from weightspace.backbones.perceptron import perceptron
from weightspace.backbones.pooling import pooling
from weightspace.backbones.probe import Probes
from weightspace.batch import WeightBatch
from weightspace.checks import check_choice, check_rates, check_sizes
from weightspace.spec import NetworkSpec


class EquivariantLinear(nn.Module):
    """An affine map of features that commutes with permutations of the hidden neurons.

    Args:
        widths_in, widths_out: numbers of features; all edges have as many.
        pool: "mean" (the full space of linear equivariant maps), "max" or "attention" (not linear).
    """

    def __init__(self, widths_in: Widths, widths_out: Widths, pool: str) -> None:
        super().__init__()
        layers = len(widths_in.nodes)
        edge, edge_out = (widths.edges[0] if widths.edges else 0 for widths in (widths_in, widths_out))
        self.rows = nn.ModuleList(pooling(pool, edge) for _ in range(layers - 1))
        self.columns = nn.ModuleList(pooling(pool, edge) for _ in range(layers - 1))
        self.neurons = nn.ModuleList(pooling(pool, width) for width in widths_in.nodes)
        self.weights = nn.ModuleList(pooling(pool, edge) for _ in range(layers - 1))
        # a neuron uses itself and the pooled edges of each side that has edges
        seen = [n + edge * ((layer > 0) + (layer < layers - 1)) for layer, n in enumerate(widths_in.nodes)]
        self._node_outputs = [
            (n, edge_out * (layer > 0), edge_out * (layer < layers - 1)) for layer, n in enumerate(widths_out.nodes)
        ]
        self.node = nn.ModuleList(
            Linear(width, sum(out), bias=False) for width, out in zip(seen, self._node_outputs, strict=True)
        )
        self.edge = nn.ModuleList(Linear(edge, edge_out, bias=False) for _ in range(layers - 1))
        self._whole_outputs = widths_out.each()
        self.whole = nn.Linear(sum(widths_in.each()), sum(self._whole_outputs))

    def forward(self, x: Features) -> Features:
        """Maps features of neurons and edges."""
        rows = [pool(edge, 2) for pool, edge in zip(self.rows, x.edges, strict=True)]
        columns = [pool(edge, 1) for pool, edge in zip(self.columns, x.edges, strict=True)]
        whole = [pool(node, 1) for pool, node in zip(self.neurons, x.nodes, strict=True)]
        whole += [pool(row, 1) for pool, row in zip(self.weights, rows, strict=True)]
        terms = self.whole(torch.cat([*whole, x.outer], dim=1)).split(self._whole_outputs, dim=1)
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
        self.gate = widths.modules(lambda width: Linear(width, width)) if gate else None
        self.residual = residual

    def forward(self, x: Features) -> Features:
        """Maps features of neurons and edges."""
        y = [F.silu(tensor) for tensor in self.norm(self.linear(x)).each()]
        if self.gate is not None and self.residual:
            y = [torch.addcmul(a, b, c) for a, b, c in zip(x.each(), y, self.gate(x).each(), strict=True)]
        elif self.gate is not None:
            y = [b * c for b, c in zip(y, self.gate(x).each(), strict=True)]
        elif self.residual:
            y = [a + b for a, b in zip(x.each(), y, strict=True)]
        return x.like(y)


class DWS(Backbone):
    """A pointwise layer and equivariant layers; then pooling over the neurons and a perceptron, or weights again.

    Args:
        spec: architecture of the networks: any depth from one hidden layer, any widths.
        out_dim: length of the result; for ``output="weights"`` the number of parameters of a network.
        hidden: features per parameter, >= 1.
        layers: number of equivariant layers, >= 1.
        head: width of the hidden layer of the invariant head.
        pool: "mean", "max" or "attention" (a learned query for each pooling).
        norm: "layer" (over the features of each neuron: independent of the batch) or "none".
        gate: multiply each layer's output by a pointwise map of its input.
        residual: add each layer's input to its output.
        dropout: in [0, 1), in the head.
        output: "vector" (invariant), or "weights": (B, P) in the networks' own order and units, for instance an edit to
            add to them; permuting a network's neurons permutes it alike.
        probes: learned input points whose responses join the neurons' features; 0: none.

    Raises:
        ConfigError: a value out of range.
    """

    invariant_to = frozenset({"permutation"})
    free_widths = True
    compile_pays = 2.5e12

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
        output: str = "vector",
        probes: int = 0,
    ) -> None:
        super().__init__(spec, out_dim, Normaliser.per_tensor(spec))
        check_sizes("DWS", hidden=hidden, layers=layers, head=head)
        check_rates("DWS", dropout=dropout)
        check_choice("DWS: norm", norm, ("layer", "none"))
        check_sizes("DWS", least=0, probes=probes)
        raw, widths = Widths.raw(spec), Widths.of(spec, hidden)
        seen = raw.with_responses(probes, spec)
        self.embedding = Pointwise(nn.Linear(a, b) for a, b in zip(seen.each(), widths.each(), strict=True))
        self.probes = Probes(spec, probes) if probes else None
        self.layers = nn.Sequential(*(EquivariantLayer(widths, pool, norm, gate, residual) for _ in range(layers)))
        if gives_weights("DWS", output, spec, out_dim):
            self.invariant_to, self.equivariant_to = frozenset(), frozenset({"permutation"})
            self.free_widths = False
            self.out = Pointwise(nn.Linear(b, a) for a, b in zip(raw.each(), widths.each(), strict=True))
        else:
            self.pools = nn.ModuleList(pooling(pool, width) for width in widths.each()[:-1])
            self.head = perceptron(sum(widths.each()), head, 1, out_dim, dropout)
        self.output = output

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        spec = spec or self.spec
        x = self.equivariant(params, spec)
        if self.output == "weights":
            return self.normaliser.std * flat(self.out(x), spec)
        flattened = [*x.nodes, *(edge.flatten(1, 2) for edge in x.edges)]
        pooled = [pool(tensor, 1) for pool, tensor in zip(self.pools, flattened, strict=True)]
        result: Tensor = self.head(torch.cat([*pooled, x.outer], dim=1))
        return result

    def equivariant(self, params: Tensor, spec: NetworkSpec | None = None) -> Features:
        """Features after the equivariant layers, from (B, P): permuting the networks' neurons permutes them alike."""
        spec = spec or self.spec
        raw = features(self.normaliser(params, spec), spec)
        x = self.embedding(raw if self.probes is None else raw.with_responses(self.probes(params, spec)))
        result: Features = self.layers(x.like([F.silu(tensor) for tensor in x.each()]))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics of parameters and responses from training networks."""
        super().fit_normaliser(batch)
        if self.probes is not None:
            self.probes.fit(batch.params.to(self.normaliser.mean.dtype), batch.spec)
