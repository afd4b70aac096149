"""Message passing on the graph of neurons, with principal neighbourhood aggregation.

Kofinas et al., arXiv 2403.12143 (Neural Graphs); Corso et al., arXiv 2004.05718 (the aggregation).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weightspace.backbones.aggregation import statistics
from weightspace.backbones.graph import Graph, GraphBackbone, GraphEmbedding, GraphReadout
from weightspace.checks import check_rates, check_sizes
from weightspace.spec import NetworkSpec


class GNNLayer(nn.Module):
    """Edges from their ends, then nodes from the edges at both sides.

    An edge e between the neurons i and j becomes e + tanh(A e + B v_i + C v_j) * e (at most twice as large); a neuron
    sees mean, deviation, minimum and maximum of the edges that come in, and of those that go out, and adds a perceptron
    of them to itself.

    Args:
        hidden: features of nodes and of edges.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.edge = nn.Linear(hidden, hidden)
        self.source = nn.Linear(hidden, hidden, bias=False)
        self.target = nn.Linear(hidden, hidden, bias=False)
        self.node = nn.Sequential(nn.Linear(9 * hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden))

    def forward(self, graph: Graph) -> Graph:
        """The graph with other features."""
        nodes = [self.norm(node) for node in graph.nodes]
        edges = [self._edge(*ends) for ends in zip(graph.edges, nodes, nodes[1:], strict=False)]
        into, out_of = zip(*(statistics(edge) for edge in edges), strict=True)
        # the inputs have no edges that come in, the outputs none that go out
        into = (torch.zeros_like(out_of[0]), *into)
        out_of = (*out_of, torch.zeros_like(into[-1]))
        seen = [torch.cat(parts, dim=2) for parts in zip(nodes, into, out_of, strict=True)]
        return Graph([a + self.node(b) for a, b in zip(graph.nodes, seen, strict=True)], edges, graph.back)

    def _edge(self, edge: Tensor, source: Tensor, target: Tensor) -> Tensor:
        rows, columns = self.target(target).unsqueeze(2), self.source(source).unsqueeze(1)
        return torch.addcmul(edge, torch.tanh(self.edge(edge) + rows + columns), edge)


class GNN(GraphBackbone):
    """A graph network on neurons (nodes with biases) and weights (edges).

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        hidden: features of nodes and of edges, >= 2.
        layers: number of rounds of messages, >= 1.
        probes: learned input points whose responses join the neurons' features; 0: none.
        fourier: random frequencies at which weights and biases are seen; 0: none.
        head: width of the head's hidden layers.
        dropout: in [0, 1), in the head.
        pool_dropout: in [0, 1), of what the head sees of the graph: with probes, the head otherwise memorises networks.
        chunk: networks that are computed at a time; 0: as many as have about 16,384 weights together.
        recompute: less memory, more time: compute each layer again in the backward pass.

    Raises:
        ConfigError: a value out of range.
    """

    compile_pays = 1.5e12

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        hidden: int = 32,
        layers: int = 4,
        probes: int = 0,
        fourier: int = 0,
        head: int = 128,
        dropout: float = 0.0,
        pool_dropout: float = 0.0,
        chunk: int = 0,
        recompute: bool = False,
    ) -> None:
        check_sizes("GNN", layers=layers, head=head)
        check_sizes("GNN", least=2, hidden=hidden)
        check_sizes("GNN", least=0, probes=probes, fourier=fourier)
        check_rates("GNN", dropout=dropout, pool_dropout=pool_dropout)
        super().__init__(
            spec,
            out_dim,
            GraphEmbedding(spec, hidden, hidden, back=False, probes=probes, fourier=fourier),
            [GNNLayer(hidden) for _ in range(layers)],
            GraphReadout(spec, hidden, probes, head, out_dim, dropout, pool_dropout),
            chunk,
            recompute,
        )
