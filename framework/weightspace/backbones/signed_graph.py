"""Layers on graphs whose neurons have signs, in the manner of ScaleGMN (Kalogeropoulos et al., arXiv 2406.10685).

In the layout of ``weightspace.backbones.features``, a sign s_i of neuron i multiplies all that a neuron carries by
s_i, and an edge between i and j by s_i s_j. Every neuron has two kinds of features:

    odd    (B, n, C)   multiplied by s_i: linear maps without bias, of itself and of sums over j of e_ij * odd_j
    even   (B, n, C)   unchanged: any function of products of two odd features, and of other even ones

Odd features are multiplied by functions of the even ones, edges by functions of the even features of their ends. A
vector is read from what is even, numbers for all parameters from what is odd, and from the edges.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightspace.backbones.edge_messages import Ends, edges_and_messages
from weightspace.backbones.features import Features, Widths
from weightspace.spec import NetworkSpec


class SignedGraph(NamedTuple):
    """Features of a batch of networks, see the module's description; lists have one entry per hidden layer."""

    odd: list[Tensor]
    even: list[Tensor]
    edges: list[Tensor]
    whole: Tensor


def unit_norm(x: Tensor) -> Tensor:
    """Divides features by the root of their mean square: the direction, and with it the sign, stays."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


class Products(nn.Module):
    """Products of two linear maps of the odd features: even.

    Args:
        width: number of odd features.
        out: number of products.
        bias: whether odd features may have a bias: where there are no signs.
    """

    def __init__(self, width: int, out: int, bias: bool) -> None:
        super().__init__()
        self.factors = nn.Linear(width, 2 * out, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps features to (..., out)."""
        first, second = self.factors(x).chunk(2, dim=-1)
        return first * second


class EdgeUpdate(nn.Module):
    """Adds to an edge a linear map of itself and products of its ends, scaled by a function of their even features.

    Args:
        hidden: number of features.
        bias: whether odd features may have a bias: where there are no signs.
    """

    def __init__(self, hidden: int, bias: bool) -> None:
        super().__init__()
        self.own = nn.Linear(hidden, hidden, bias=bias)
        self.row, self.column = (nn.Linear(hidden, hidden, bias=bias) for _ in range(2))
        self.gate_row, self.gate_column = (nn.Linear(hidden, hidden) for _ in range(2))

    def forward(
        self, edge: Tensor, odd: tuple[Tensor, Tensor], even: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """New edges (B, n, m, C), and messages to rows and columns, see ``edges_and_messages``.

        Args:
            edge: (B, n, m, C).
            odd, even: features of the column's neurons (B, m, C) and of the row's (B, n, C).
        """
        gates = self.gate_row(even[1]), self.gate_column(even[0])
        ends = Ends(self.row(odd[1]), self.column(odd[0]), *gates, odd[1], odd[0])
        return edges_and_messages(edge, self.own.weight, self.own.bias, ends)


class NeuronUpdate(nn.Module):
    """New features of a hidden layer's neurons, from their own and from messages.

    Args:
        seen: odd features that come in: the neuron's own, and of messages.
        hidden: features of each kind.
        bias: whether odd features may have a bias: where there are no signs.
    """

    def __init__(self, seen: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.products = Products(seen, hidden, bias)
        self.odd = nn.Linear(seen, hidden, bias=bias)
        self.norm = nn.LayerNorm(hidden)
        self.even = nn.Linear(2 * hidden, 2 * hidden)

    def forward(self, odd: Tensor, even: Tensor, messages: list[Tensor], whole: Tensor) -> tuple[Tensor, Tensor]:
        """Odd and even features (B, n, C); ``whole`` (B, C) is added to the even ones."""
        seen = torch.cat([odd, *messages], dim=2)
        products, added = self._maps(seen)
        update, gate = self.even(torch.cat([self.norm(even), products], dim=2)).chunk(2, dim=2)
        return unit_norm(odd + added * gate.tanh()), even + F.silu(update + whole.unsqueeze(1))

    def _maps(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Products and the linear map of odd features, as one matrix product."""
        factors, odd = self.products.factors, self.odd
        bias = None if odd.bias is None else torch.cat([factors.bias, odd.bias])
        mapped = F.linear(seen, torch.cat([factors.weight, odd.weight]), bias)
        first, second, added = mapped.chunk(3, dim=2)
        return first * second, added


class ScaleGNNLayer(nn.Module):
    """Edges from their ends, then neurons from the edges at both sides.

    Args:
        hidden: features of each kind.
        layers: number of hidden layers of the networks.
        bias: whether odd features may have a bias: where there are no signs.
        edges: whether the new edges are returned (nobody reads those of the last layer).
    """

    def __init__(self, hidden: int, layers: int, bias: bool, edges: bool) -> None:
        super().__init__()
        self.returns_edges = edges
        sides = [1 + (layer > 0) + (layer < layers - 1) for layer in range(layers)]
        self.edges = nn.ModuleList(EdgeUpdate(hidden, bias) for _ in range(layers - 1))
        self.neurons = nn.ModuleList(NeuronUpdate(hidden * count, hidden, bias) for count in sides)
        self.whole = nn.Linear((layers + 1) * hidden, (layers + 1) * hidden)

    def forward(self, x: SignedGraph) -> SignedGraph:
        """The graph with other features."""
        pooled = torch.cat([*(even.mean(1) for even in x.even), x.whole], dim=1)
        *terms, whole = self.whole(pooled).chunk(len(x.even) + 1, dim=1)
        ends = zip(x.edges, pairwise(x.odd), pairwise(x.even), strict=True)
        new = [update(*parts) for update, parts in zip(self.edges, ends, strict=True)]
        # messages of each layer: from the neurons before it, and from those after it, where there are any
        before, after = [[rows] for _, rows, _ in new], [[columns] for _, _, columns in new]
        messages = [a + b for a, b in zip([[], *before], [*after, []], strict=True)]
        neurons = [update(*parts) for update, *parts in zip(self.neurons, x.odd, x.even, messages, terms, strict=True)]
        edges = [edge for edge, _, _ in new] if self.returns_edges else []
        return SignedGraph([odd for odd, _ in neurons], [even for _, even in neurons], edges, x.whole + F.silu(whole))


class SignedWeights(nn.Module):
    """One number for each parameter of a network, with the signs of its neurons: linear maps of what is odd.

    Args:
        spec: architecture of the networks.
        hidden: features of each kind.
        bias: whether odd features may have a bias: where there are no signs.
    """

    def __init__(self, spec: NetworkSpec, hidden: int, bias: bool) -> None:
        super().__init__()
        raw = Widths.raw(spec)
        self.gates = nn.ModuleList(nn.Linear(hidden, hidden) for _ in raw.nodes)
        self.nodes = nn.ModuleList(nn.Linear(hidden, width, bias=bias) for width in raw.nodes)
        self.edges = nn.ModuleList(nn.Linear(hidden, width, bias=bias) for width in raw.edges)
        self.outer = nn.Linear(hidden, raw.outer)

    def forward(self, x: SignedGraph) -> Features:
        """One feature per parameter."""
        gated = [odd * gate(even).tanh() for odd, gate, even in zip(x.odd, self.gates, x.even, strict=True)]
        nodes = [module(odd) for module, odd in zip(self.nodes, gated, strict=True)]
        return Features(
            nodes, [module(edge) for module, edge in zip(self.edges, x.edges, strict=True)], self.outer(x.whole)
        )
