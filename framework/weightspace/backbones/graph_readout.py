"""What is read from the graph of a network: a vector, or a number for each parameter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weightspace.backbones.graph import Graph
from weightspace.backbones.output import packed
from weightspace.backbones.perceptron import perceptron
from weightspace.spec import NetworkSpec


class GraphReadout(nn.Module):
    """A perceptron on the means over each hidden layer's neurons, the outputs one by one, and their responses.

    Args:
        spec: architecture of the networks.
        node: features of a node.
        probes: responses of each output, may be 0.
        head: width of the perceptron's two hidden layers.
        out_dim: length of the result.
        dropout: in [0, 1), in the perceptron.
        pool_dropout: in [0, 1), of what is pooled from the graph.
    """

    def __init__(
        self, spec: NetworkSpec, node: int, probes: int, head: int, out_dim: int, dropout: float, pool_dropout: float
    ) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(node), nn.Dropout(pool_dropout)
        width = node * (len(spec.widths) - 2 + spec.out_dim) + probes * spec.out_dim
        self.head = perceptron(width, head, 2, out_dim, dropout, norm=True)

    def forward(self, graph: Graph, responses: list[Tensor]) -> Tensor:
        """Maps graphs, and the responses of their outputs, to (B, out_dim)."""
        hidden = [self.norm(node).mean(1) for node in graph.nodes[1:-1]]
        pooled = self.dropout(torch.cat([*hidden, self.norm(graph.nodes[-1]).flatten(1)], dim=1))
        result: Tensor = self.head(torch.cat([pooled, *responses], dim=1))
        return result


class GraphWeights(nn.Module):
    """One number for each parameter of a network: linear maps of its edges, and of its neurons for the biases.

    Args:
        spec: architecture of the networks.
        node, edge: numbers of features.
    """

    def __init__(self, spec: NetworkSpec, node: int, edge: int) -> None:
        super().__init__()
        self.spec, self.norm = spec, nn.LayerNorm(node)
        self.bias = nn.ModuleList(nn.Linear(node, 1) for _ in spec.weight_shapes)
        self.weight = nn.ModuleList(nn.Linear(edge, k) for k in spec.positions)

    def forward(self, graph: Graph, responses: list[Tensor]) -> Tensor:
        """Maps graphs to (B, P); responses of the outputs are among the features of their neurons."""
        weights = [module(edge) for module, edge in zip(self.weight, graph.edges, strict=True)]
        biases = [module(self.norm(x)).squeeze(2) for module, x in zip(self.bias, graph.nodes[1:], strict=True)]
        return packed(weights, biases, self.spec)
