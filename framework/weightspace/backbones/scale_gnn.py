"""A graph network that commutes with the signs or scales of neurons, in the manner of ScaleGMN.

Kalogeropoulos et al., arXiv 2406.10685. The layers are those of ``weightspace.backbones.signed_graph``.

The scale of a ReLU neuron is removed before: its incoming weights and bias are brought to norm 1 (a neuron that has
none computes 0: what it sends on is set to zero). What is left has no signs, so that all maps may have a bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.features import Widths, features, flat
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.output import gives_weights
from weightspace.backbones.perceptron import perceptron
from weightspace.backbones.probe import Probes
from weightspace.backbones.signed_graph import Products, ScaleGNNLayer, SignedGraph, SignedWeights, unit_norm
from weightspace.batch import WeightBatch
from weightspace.checks import check_rates, check_sizes
from weightspace.spec import NetworkSpec
from weightspace.symmetry import scale_neurons
from weightspace.symmetry.scales import silence_zero_neurons, unit_scales


class ScaleGNN(Backbone):
    """Invariant to permutations and signs (sine, tanh) or to permutations and scales (ReLU), exactly.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        hidden: features of each kind, >= 2.
        layers: number of layers, >= 1.
        probes: learned input points whose responses join the neurons' features; 0: none.
        head: width of the head's hidden layers.
        dropout: in [0, 1), in the head.
        pool_dropout: in [0, 1), of what the head sees of the graph: with probes, the head otherwise memorises networks.
        output: "vector" (invariant), or "weights": (B, P) in the networks' own order and units, for instance an edit to
            add to them, moved by the symmetries as the networks are. Head and dropout are then unused.

    Raises:
        ConfigError: a value out of range.
    """

    invariant_to = frozenset({"permutation", "sign", "scale"})
    free_widths = True
    compile_pays = 1e12

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        hidden: int = 32,
        layers: int = 4,
        probes: int = 0,
        head: int = 128,
        dropout: float = 0.0,
        pool_dropout: float = 0.0,
        output: str = "vector",
    ) -> None:
        bias = "sign" not in spec.symmetries
        super().__init__(spec, out_dim, Normaliser.per_tensor(spec, center=bias))
        check_sizes("ScaleGNN", layers=layers, head=head)
        check_sizes("ScaleGNN", least=2, hidden=hidden)
        check_sizes("ScaleGNN", least=0, probes=probes)
        check_rates("ScaleGNN", dropout=dropout, pool_dropout=pool_dropout)
        raw = Widths.raw(spec)
        count = len(raw.nodes)
        widths = raw.with_responses(probes, spec).nodes
        self.output = output
        weights = gives_weights("ScaleGNN", output, spec, out_dim)
        self.odd = nn.ModuleList(nn.Linear(width, hidden, bias=bias) for width in widths)
        self.even = nn.ModuleList(
            nn.Sequential(Products(width, hidden, bias), nn.Linear(hidden, hidden)) for width in widths
        )
        self.edge = nn.ModuleList(nn.Linear(width, hidden, bias=bias) for width in raw.edges)
        self.outer = nn.Linear(raw.outer, hidden)
        self.probes = Probes(spec, probes) if probes else None
        edges = [weights or layer < layers - 1 for layer in range(layers)]
        self.layers = nn.ModuleList(ScaleGNNLayer(hidden, count, bias, returned) for returned in edges)
        if weights:
            self.invariant_to, self.equivariant_to = frozenset(), type(self).invariant_to
            self.free_widths = False
            self.out = SignedWeights(spec, hidden, bias)
            return
        self.dropout = nn.Dropout(pool_dropout)
        self.readout = nn.ModuleList(Products(hidden, hidden, bias) for _ in range(count))
        width = hidden * (2 * count + 1) + probes * spec.out_dim
        self.head = perceptron(width, head, 2, out_dim, dropout, norm=True)

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        spec = spec or self.spec
        unit, scales = self._unit_scaled(params, spec)
        graph, responses = self._embed(unit, spec)
        for layer in self.layers:
            graph = layer(graph)
        if self.output == "weights":
            update = self.normaliser.std * flat(self.out(graph), spec)
            return self._scaled_back(update, scales)
        products = [module(odd) for module, odd in zip(self.readout, graph.odd, strict=True)]
        means = [tensor.mean(1) for tensor in (*graph.even, *products)]
        pooled = self.dropout(torch.cat([*means, graph.whole], dim=1))
        result: Tensor = self.head(torch.cat([pooled, *responses], dim=1))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics of parameters and responses, at unit scales, from training networks."""
        params, _ = self._unit_scaled(batch.params.to(self.normaliser.mean.dtype), batch.spec)
        self.normaliser.fit(params, batch.spec)
        if self.probes is not None:
            self.probes.fit(params, batch.spec)

    def blocks(self) -> Sequence[nn.Module]:
        """The layers: equal ones are compiled once."""
        return list(self.layers)

    def _embed(self, params: Tensor, spec: NetworkSpec) -> tuple[SignedGraph, list[Tensor]]:
        x = features(self.normaliser(params, spec), spec)
        nodes, responses = x.nodes, []
        if self.probes is not None:
            _, *hidden, outputs = self.probes(params, spec)
            nodes = [torch.cat(pair, dim=2) for pair in zip(nodes, hidden, strict=True)]
            responses = [outputs.flatten(1)]
        odd = [unit_norm(module(node)) for module, node in zip(self.odd, nodes, strict=True)]
        even = [module(node) for module, node in zip(self.even, nodes, strict=True)]
        edges = [module(edge) for module, edge in zip(self.edge, x.edges, strict=True)]
        return SignedGraph(odd, even, edges, self.outer(x.outer)), responses

    def _unit_scaled(self, params: Tensor, spec: NetworkSpec) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The networks at unit scales, and the factors that their neurons were given; others as they are."""
        if "scale" not in spec.symmetries:
            return params, ()
        batch = silence_zero_neurons(WeightBatch(params, spec))
        scales = unit_scales(batch)
        return scale_neurons(batch, scales).params, scales

    def _scaled_back(self, update: Tensor, scales: tuple[Tensor, ...]) -> Tensor:
        """The update of networks at unit scales, at the scales of the networks themselves."""
        if not scales:
            return update
        return scale_neurons(WeightBatch(update, self.spec), [1 / scale for scale in scales]).params
