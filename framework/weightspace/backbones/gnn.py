"""Message passing on the graph of neurons, with principal neighbourhood aggregation.

Kofinas et al., arXiv 2403.12143 (Neural Graphs); Corso et al., arXiv 2004.05718 (the aggregation).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from weightspace.backbones.gated_edges import gated_edges
from weightspace.backbones.graph import Graph, GraphEmbedding
from weightspace.backbones.graph_backbone import GraphBackbone
from weightspace.backbones.graph_readout import GraphReadout, GraphWeights
from weightspace.backbones.linear import Linear
from weightspace.backbones.output import gives_weights
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
        self.node = nn.Sequential(Linear(9 * hidden, 2 * hidden), nn.SiLU(), Linear(2 * hidden, hidden))

    def forward(self, graph: Graph) -> Graph:
        """The graph with other features."""
        sizes = [node.shape[1] for node in graph.nodes]
        joined = torch.cat(graph.nodes, dim=1)
        nodes = self.norm(joined)
        # edges are many: the bias of their map is added at their rows
        columns = self.source(nodes).split(sizes, dim=1)
        rows = F.linear(nodes, self.target.weight, self.edge.bias).split(sizes, dim=1)
        updated = [
            gated_edges(edge, self.edge.weight, row, column)
            for edge, row, column in zip(graph.edges, rows[1:], columns, strict=False)
        ]
        edges, into, out_of = zip(*updated, strict=True)
        # the inputs have no edges that come in, the outputs none that go out
        before = torch.cat([torch.zeros_like(out_of[0]), *into], dim=1)
        after = torch.cat([*out_of, torch.zeros_like(into[-1])], dim=1)
        # statistics are exact, in layers of bfloat16 too
        result = joined + self.node(torch.cat([nodes, before.to(nodes.dtype), after.to(nodes.dtype)], dim=2))
        # laid out like those of the first layer, so that one compiled layer serves all
        return Graph([node.contiguous() for node in result.split(sizes, dim=1)], list(edges), graph.back)


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
        output: "vector" (invariant), or "weights": (B, P) in the networks' own order and units, for instance an edit to
            add to them, moved by the symmetries as the networks are. Head and dropout are then unused.

    Raises:
        ConfigError: a value out of range.
    """

    compile_pays = 3e12

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
        output: str = "vector",
    ) -> None:
        check_sizes("GNN", layers=layers, head=head)
        check_sizes("GNN", least=2, hidden=hidden)
        check_sizes("GNN", least=0, probes=probes, fourier=fourier)
        check_rates("GNN", dropout=dropout, pool_dropout=pool_dropout)
        weights = gives_weights("GNN", output, spec, out_dim)
        super().__init__(
            spec,
            out_dim,
            GraphEmbedding(spec, hidden, hidden, back=False, probes=probes, fourier=fourier),
            [GNNLayer(hidden) for _ in range(layers)],
            GraphWeights(spec, hidden, hidden)
            if weights
            else GraphReadout(spec, hidden, probes, head, out_dim, dropout, pool_dropout),
            chunk,
            recompute,
        )
