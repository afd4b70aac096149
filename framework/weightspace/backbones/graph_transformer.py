"""The relational transformer on the graph of neurons.

Kofinas et al., arXiv 2403.12143 (Neural Graphs); Diao and Loynd, arXiv 2210.05062 (relational attention).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightspace.backbones.graph import Graph, GraphEmbedding
from weightspace.backbones.graph_backbone import GraphBackbone
from weightspace.backbones.graph_readout import GraphReadout, GraphWeights
from weightspace.backbones.linear import Linear
from weightspace.backbones.output import gives_weights
from weightspace.backbones.relational import scores, weighted_sum
from weightspace.checks import check_rates, check_sizes
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


class EdgeAttention(nn.Module):
    """Every neuron attends to the neurons that it shares a weight with, through the features of that weight.

    For the neuron i and its neighbour j, joined by the edge e (of a head; Q, K, V, F are linear maps):

        score_ij = (q_i + Q e) . (k_j + K e) / sqrt(size)        value_ij = v_j * (F e) + V e

    V e is linear, so that it is taken of the mean edge, after the sum over j.

    Args:
        node, edge: numbers of features.
        attention: sum of the heads' sizes.
        heads: a divisor of it.
    """

    def __init__(self, node: int, edge: int, attention: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, attention // heads
        self.node = Linear(node, 3 * attention, bias=False)
        self.edge = Linear(edge, 3 * attention, bias=False)
        self.value = nn.Parameter(torch.empty(heads, edge, self.size).uniform_(-(edge**-0.5), edge**-0.5))
        self.out = Linear(attention, node)

    def forward(self, graph: Graph) -> list[Tensor]:
        """Update of the nodes of each layer."""
        projected = [self.node(node).unflatten(2, (3, self.heads, self.size)).unbind(2) for node in graph.nodes]
        results = []
        for layer, (query, _, _) in enumerate(projected):
            edges = [*graph.edges[max(layer - 1, 0) : layer], *graph.back[layer : layer + 1]]
            others = [*projected[max(layer - 1, 0) : layer], *projected[layer + 1 : layer + 2]]
            results.append(self.out(self._attend(query, edges, others).flatten(2)))
        return results

    def _attend(self, query: Tensor, edges: list[Tensor], others: list[tuple[Tensor, ...]]) -> Tensor:
        """(B, n, heads, size), from queries of this shape, and edges (B, n, m, edge) and keys of the next layers."""
        maps, factors = self.edge.weight.split([2 * self.heads * self.size, self.heads * self.size])
        products = [scores(edge, maps, query, key) for edge, (_, key, _) in zip(edges, others, strict=True)]
        weights = (self.size**-0.5 * torch.cat(products, dim=2)).softmax(2).split([p.shape[2] for p in products], dim=2)
        total = torch.zeros_like(query)
        for weight, edge, (_, _, value) in zip(weights, edges, others, strict=True):
            mean_edge = weight.transpose(2, 3) @ edge  # (B, n, heads, edge)
            total = total + torch.einsum("bnhe,hes->bnhs", mean_edge, self.value)
            total = total + weighted_sum(edge, factors, weight, value)
        return total


class EdgeUpdate(nn.Module):
    """Adds to each edge a perceptron of itself, its reverse and its two ends, and then one of itself.

    Args:
        node, edge: numbers of features.
        hidden: width of both perceptrons.
    """

    def __init__(self, node: int, edge: int, hidden: int) -> None:
        super().__init__()
        self.own = Linear(edge, hidden)
        self.reverse = Linear(edge, hidden, bias=False)
        self.source = Linear(node, hidden, bias=False)
        self.target = Linear(node, hidden, bias=False)
        self.out = Linear(hidden, edge)
        self.perceptron = nn.Sequential(Linear(edge, hidden), nn.SiLU(), Linear(hidden, edge))
        self.norm_first, self.norm_second = nn.LayerNorm(edge), nn.LayerNorm(edge)

    def forward(self, graph: Graph) -> Graph:
        """The graph with other edges."""
        sources = [self.source(node) for node in graph.nodes]
        targets = [self.target(node) for node in graph.nodes]
        edges, back = [], []
        for layer, (edge, reverse) in enumerate(zip(graph.edges, graph.back, strict=True)):
            edges.append(self._update(edge, reverse, sources[layer], targets[layer + 1]))
            back.append(self._update(reverse, edge, sources[layer + 1], targets[layer]))
        return Graph(graph.nodes, edges, back)

    def _update(self, edge: Tensor, reverse: Tensor, source: Tensor, target: Tensor) -> Tensor:
        seen = self.own(edge).add_(self.reverse(reverse).transpose(1, 2))
        seen = seen.add_(source.unsqueeze(1)).add_(target.unsqueeze(2))
        edge = self.norm_first(edge + self.out(F.silu(seen)))
        updated: Tensor = self.norm_second(edge + self.perceptron(edge))
        return updated


class GraphTransformerLayer(nn.Module):
    """Attention, a perceptron on each node, and then new edges.

    Args:
        node, edge: numbers of features.
        attention, heads: see ``EdgeAttention``.
        edges: whether the edges are updated (not needed where nobody reads them).
    """

    def __init__(self, node: int, edge: int, attention: int, heads: int, edges: bool) -> None:
        super().__init__()
        self.attention = EdgeAttention(node, edge, attention, heads)
        self.perceptron = nn.Sequential(Linear(node, 2 * node), nn.SiLU(), Linear(2 * node, node))
        self.norm_first, self.norm_second = nn.LayerNorm(node), nn.LayerNorm(node)
        self.edges = EdgeUpdate(node, edge, 2 * edge) if edges else None

    def forward(self, graph: Graph) -> Graph:
        """The graph with other features."""
        attended = zip(graph.nodes, self.attention(graph), strict=True)
        nodes = [self.norm_first(node + added) for node, added in attended]
        graph = graph._replace(nodes=[self.norm_second(node + self.perceptron(node)) for node in nodes])
        return graph if self.edges is None else self.edges(graph)


class GraphTransformer(GraphBackbone):
    """Relational attention between neighbouring layers, in both directions, with edges that change.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        node, edge: features of neurons, >= 2, and of weights, >= 1.
        attention: sum of the sizes of all heads.
        heads: number of heads, a divisor of ``attention``.
        layers: number of layers, >= 2.
        probes: learned input points whose responses join the neurons' features; 0: none.
        fourier: random frequencies at which weights and biases are seen; 0: none.
        head: width of the head's hidden layers.
        dropout: in [0, 1), in the head.
        pool_dropout: in [0, 1), of what the head sees of the graph: with probes, the head otherwise memorises networks.
        chunk: networks that are computed at a time; 0: as many as have about 16,384 weights together.
        recompute: less memory, more time: compute each layer again in the backward pass.
        output: "vector" (invariant), or "weights": (B, P) in the networks' own order and units, for instance an edit to
            add to them, moved by the symmetries as the networks are. Head and dropout are then unused.

    Raises:
        ConfigError: a value out of range.
    """

    compile_pays = 2e13

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        node: int = 64,
        edge: int = 32,
        attention: int = 128,
        heads: int = 8,
        layers: int = 4,
        probes: int = 0,
        fourier: int = 0,
        head: int = 128,
        dropout: float = 0.0,
        pool_dropout: float = 0.0,
        chunk: int = 0,
        recompute: bool = False,
        output: str = "vector",
    ) -> None:
        name = "GraphTransformer"
        check_sizes(name, edge=edge, attention=attention, heads=heads, head=head)
        check_sizes(name, least=2, node=node, layers=layers)
        check_sizes(name, least=0, probes=probes, fourier=fourier)
        check_rates(name, dropout=dropout, pool_dropout=pool_dropout)
        if attention % heads:
            raise ConfigError(f"{name}: attention must be a multiple of heads, found {attention} and {heads}")
        weights = gives_weights(name, output, spec, out_dim)
        updates = [weights or layer < layers - 1 for layer in range(layers)]
        super().__init__(
            spec,
            out_dim,
            GraphEmbedding(spec, node, edge, back=True, probes=probes, fourier=fourier),
            [GraphTransformerLayer(node, edge, attention, heads, edges) for edges in updates],
            GraphWeights(spec, node, edge)
            if weights
            else GraphReadout(spec, node, probes, head, out_dim, dropout, pool_dropout),
            chunk,
            recompute,
        )
