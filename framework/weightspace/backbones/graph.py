"""Shared parts of graph backbones: a network as a layered graph of neurons (Kofinas et al., arXiv 2403.12143).

Layout. Neurons are nodes and weights are edges, kept layer by layer:

    nodes[l]   (B, n_l, node)              inputs (l = 0), hidden neurons, outputs (l = L)
    edges[l]   (B, n_{l+1}, n_l, edge)     the weights between layers l and l + 1, dense
    back[l]    (B, n_l, n_{l+1}, edge)     the same edges in the other direction, for backbones that distinguish the two

The matrix of all pairs of neurons would be mostly zeros: only pairs that have a weight are stored.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from weightspace.backbones.probe import Probes
from weightspace.batch import unpack_layers
from weightspace.spec import NetworkSpec


class Graph(NamedTuple):
    """A batch of layered graphs, see the module's layout."""

    nodes: list[Tensor]
    edges: list[Tensor]
    back: list[Tensor]


class FourierFeatures(nn.Module):
    """A number x with sin(2 pi f x) and cos(2 pi f x) at random frequencies f (Tancik et al., arXiv 2006.10739).

    Args:
        count: frequencies, standard normal, kept with the weights; 0 leaves x alone.
    """

    constant_buffers = frozenset({"frequencies"})

    frequencies: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(count))

    @property
    def out_features(self) -> int:
        """Number of features per input number."""
        return 1 + 2 * len(self.frequencies)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (...) numbers to (..., out_features)."""
        x = x.unsqueeze(-1)
        angles = 2 * math.pi * self.frequencies * x
        return torch.cat([x, angles.sin(), angles.cos()], dim=-1) if len(self.frequencies) else x


class GraphEmbedding(nn.Module):
    """Features of nodes and edges from the parameters of networks.

    A linear map of its own for each layer (its bias is the layer's embedding); input and output neurons, which are
    never permuted, have one embedding each.

    Args:
        spec: architecture of the networks.
        node, edge: numbers of features.
        back: whether edges from output to input have features of their own.
        probes: learned input points, whose responses join the features of every neuron; 0: none.
        fourier: random frequencies at which weights and biases are seen besides themselves; 0: none.
    """

    def __init__(self, spec: NetworkSpec, node: int, edge: int, back: bool, probes: int, fourier: int) -> None:
        super().__init__()
        self.fourier = FourierFeatures(fourier)
        size = self.fourier.out_features
        self.bias = nn.ModuleList(nn.Linear(size, node) for _ in spec.weight_shapes)
        self.weight = nn.ModuleList(nn.Linear(size * k, edge) for k in spec.positions)
        self.back = nn.ModuleList(nn.Linear(size * k, edge) for k in spec.positions if back)
        self.inputs = nn.Parameter(torch.randn(spec.in_dim, node))
        self.outputs = nn.Parameter(torch.randn(spec.out_dim, node))
        self.probes = Probes(spec, probes) if probes else None
        self.response = nn.ModuleList(nn.Linear(probes, node, bias=False) for _ in spec.widths if probes)

    def forward(self, params: Tensor, scaled: Tensor, spec: NetworkSpec) -> tuple[Graph, list[Tensor]]:
        """The graph, and the responses of the outputs (B, out_dim * probes), if there are any.

        Args:
            params: (B, P) as the networks have them.
            scaled: the same, normalised.
            spec: their architecture.
        """
        weights, biases = unpack_layers(scaled, spec)
        seen = [self.fourier(weight).flatten(3) for weight in weights]
        edges = [module(x) for module, x in zip(self.weight, seen, strict=True)]
        back = [module(x.transpose(1, 2)) for module, x in zip(self.back, seen, strict=False)]
        *hidden, outputs = [module(self.fourier(bias)) for module, bias in zip(self.bias, biases, strict=True)]
        nodes = [self.inputs.repeat(len(params), 1, 1), *hidden, outputs + self.outputs]
        if self.probes is None:
            return Graph(nodes, edges, back), []
        responses = self.probes(params, spec)
        joined = [node + module(x) for node, module, x in zip(nodes, self.response, responses, strict=True)]
        return Graph(joined, edges, back), [responses[-1].flatten(1)]
