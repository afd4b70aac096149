"""A graph network that commutes with the signs and the phases of sine neurons.

A neuron of a sine network computes sin(omega (w x + b)). Its weights w and bias b can change their sign, and b can be
moved by k pi / omega: both give s p sin(omega (w x + b)) with a sign s and a parity p = (-1)^k, which the outgoing
weights take back. So what a neuron carries is one of four kinds of features (B, n, C):

    incoming   multiplied by s      incoming weights, and sums over j of e_ij * outgoing_j
    outgoing   multiplied by s p    outgoing weights, sin(omega b), responses, and sums over i of e_ij * incoming_i
    parity     multiplied by p      cos(omega b)
    even       unchanged

where an edge e_ij, from neuron j to neuron i of the next layer, is multiplied by s_i s_j p_j. The product of two kinds
is of the third one, as in sin(a + omega b) = sin(a) cos(omega b) + cos(a) sin(omega b). Only maps of even features
have a bias, and the other kinds are multiplied by functions of these; the result is read from what is even. Edges and
messages are those of ``ScaleGNN``, whose neurons have one sign for what comes in and goes out.

Networks with other activations have no phases: their biases are outgoing features as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightspace.backbones.base import Backbone
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.perceptron import perceptron
from weightspace.backbones.phased import Linears, Neurons, PhasedNeurons, Signless
from weightspace.backbones.probe import Probes
from weightspace.backbones.signed_graph import EdgeUpdate, unit_norm
from weightspace.batch import WeightBatch, unpack_layers
from weightspace.checks import check_rates, check_sizes
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


class PhasedGraph(NamedTuple):
    """Features of a batch of networks: a hidden layer's neurons, the edges between two of them, and of all (B, C)."""

    neurons: list[Neurons]
    edges: list[Tensor]
    whole: Tensor


class PhaseGNNLayer(nn.Module):
    """Edges from their ends, then neurons from the edges at both sides.

    Args:
        hidden: features of each kind.
        layers: number of hidden layers of the networks.
        edges: whether the new edges are returned (nobody reads those of the last layer).
    """

    def __init__(self, hidden: int, layers: int, edges: bool) -> None:
        super().__init__()
        self.returns_edges = edges
        self.edges = nn.ModuleList(EdgeUpdate(hidden, bias=False) for _ in range(layers - 1))
        self.neurons = nn.ModuleList(PhasedNeurons(layer > 0, layer < layers - 1, hidden) for layer in range(layers))
        self.whole = nn.Linear((layers + 1) * hidden, (layers + 1) * hidden)

    def forward(self, x: PhasedGraph) -> PhasedGraph:
        """The graph with other features."""
        pooled = torch.cat([*(neurons.even.mean(1) for neurons in x.neurons), x.whole], dim=1)
        *terms, whole = self.whole(pooled).chunk(len(x.neurons) + 1, dim=1)
        new = [
            update(edge, (column.outgoing, row.incoming), (column.even, row.even))
            for update, edge, (column, row) in zip(self.edges, x.edges, pairwise(x.neurons), strict=True)
        ]
        before, after = [[], *([rows] for _, rows, _ in new)], [*([columns] for _, _, columns in new), []]
        parts = zip(self.neurons, x.neurons, before, after, terms, strict=True)
        neurons = [update(*features) for update, *features in parts]
        edges = [edge for edge, _, _ in new] if self.returns_edges else []
        return PhasedGraph(neurons, edges, x.whole + F.silu(whole))


class PhaseGNN(Backbone):
    """Invariant to permutations, signs and phases, exactly and without canonical forms; made for sine networks.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        hidden: features of each kind, >= 2.
        layers: number of layers, >= 1.
        probes: learned input points whose responses join the neurons' features; 0: none.
        head: width of the head's hidden layers.
        dropout: in [0, 1), in the head.
        pool_dropout: in [0, 1), of what the head sees of the graph: with probes, the head otherwise memorises networks.

    Raises:
        ConfigError: a value out of range.
    """

    invariant_to = frozenset({"permutation", "sign", "phase"})
    free_widths = True

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        hidden: int = 16,
        layers: int = 4,
        probes: int = 0,
        head: int = 128,
        dropout: float = 0.0,
        pool_dropout: float = 0.0,
    ) -> None:
        super().__init__(spec, out_dim, Normaliser.per_tensor(spec, center=False))
        if spec.kernels:
            raise ConfigError(f"PhaseGNN reads fully connected networks, and these have convolutions: {spec}")
        check_sizes("PhaseGNN", layers=layers, head=head)
        check_sizes("PhaseGNN", least=2, hidden=hidden)
        check_sizes("PhaseGNN", least=0, probes=probes)
        check_rates("PhaseGNN", dropout=dropout, pool_dropout=pool_dropout)
        count = len(spec.widths) - 2
        widths = [[hidden, 1 + probes, 1] for _ in range(count)]
        widths[0][0] = spec.in_dim
        widths[-1][1] += spec.out_dim
        self.kinds = nn.ModuleList(Linears(kinds, hidden) for kinds in widths)
        self.signless = nn.ModuleList(Signless(kinds, hidden) for kinds in widths)
        self.even = nn.ModuleList(nn.Linear(3 * hidden, hidden) for _ in range(count))
        self.edge = nn.ModuleList(nn.Linear(1, hidden, bias=False) for _ in range(count - 1))
        self.outer = nn.Linear(spec.out_dim, hidden)
        self.probes = Probes(spec, probes) if probes else None
        self.layers = nn.ModuleList(PhaseGNNLayer(hidden, count, layer < layers - 1) for layer in range(layers))
        self.dropout = nn.Dropout(pool_dropout)
        self.readout = nn.ModuleList(Signless([hidden] * 3, hidden) for _ in range(count))
        width = hidden * (4 * count + 1) + probes * spec.out_dim
        self.head = perceptron(width, head, 2, out_dim, dropout, norm=True)

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        spec = spec or self.spec
        graph, responses = self._embed(params, spec)
        for layer in self.layers:
            graph = layer(graph)
        read = [module(neurons[:3]) for module, neurons in zip(self.readout, graph.neurons, strict=True)]
        means = [tensor.mean(1) for tensor in (*(neurons.even for neurons in graph.neurons), *read)]
        pooled = self.dropout(torch.cat([*means, graph.whole], dim=1))
        result: Tensor = self.head(torch.cat([pooled, *responses], dim=1))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics of parameters and responses from training networks."""
        params = batch.params.to(self.normaliser.mean.dtype)
        self.normaliser.fit(params, batch.spec)
        if self.probes is not None:
            self.probes.fit(params, batch.spec)

    def blocks(self) -> Sequence[nn.Module]:
        """The layers: equal ones are compiled once."""
        return list(self.layers)

    def _embed(self, params: Tensor, spec: NetworkSpec) -> tuple[PhasedGraph, list[Tensor]]:
        weights, biases = unpack_layers(self.normaliser(params, spec), spec)
        edges = [module(weight.unsqueeze(3)) for module, weight in zip(self.edge, weights[1:-1], strict=True)]
        outgoing, parity = map(list, zip(*self._turns(params, biases, spec), strict=True))
        outgoing[-1] = torch.cat([outgoing[-1], weights[-1].mT], dim=2)
        responses: list[Tensor] = []
        if self.probes is not None:
            _, *hidden, outputs = self.probes(params, spec)
            outgoing = [torch.cat(pair, dim=2) for pair in zip(outgoing, hidden, strict=True)]
            responses = [outputs.flatten(1)]
        incoming, neurons = weights[0], list[Neurons]()
        for layer, parts in enumerate(zip(self.kinds, self.signless, self.even, strict=True)):
            if layer:
                before = neurons[-1].outgoing
                incoming = torch.einsum("bnmc,bmc->bnc", edges[layer - 1], before) / before.shape[1] ** 0.5
            neurons.append(_neurons(*parts, (incoming, outgoing[layer], parity[layer])))
        return PhasedGraph(neurons, edges, self.outer(biases[-1])), responses

    def _turns(self, params: Tensor, biases: Sequence[Tensor], spec: NetworkSpec) -> list[tuple[Tensor, Tensor]]:
        """(B, n, 1) sines and cosines of each hidden layer's biases; without phases, biases (normalised) and ones."""
        if "phase" not in spec.symmetries:
            return [(bias.unsqueeze(2), torch.ones_like(bias).unsqueeze(2)) for bias in biases[:-1]]
        raw = unpack_layers(params, spec)[1]
        turns = [omega * bias.unsqueeze(2) for omega, bias in zip(spec.omegas, raw, strict=False)]
        return [(turn.sin(), turn.cos()) for turn in turns]


def _neurons(maps: nn.Module, signless: nn.Module, even: nn.Module, kinds: tuple[Tensor, Tensor, Tensor]) -> Neurons:
    """The first features of a hidden layer's neurons, from what the parameters say of each kind."""
    incoming, outgoing, parity = map(unit_norm, maps(kinds))
    return Neurons(incoming, outgoing, parity, even(signless(kinds)))
