"""Features of the neurons and weights of a network, arranged by which of them may be permuted.

Input and output neurons keep their place, so a weight matrix that touches them is a feature of the hidden neurons at
its other end. What remains is a layered graph:

    nodes[l]   (B, n_l, F_l)          hidden layer l: its bias, W_1's row if it is the first, W_L's column if the last
    edges[l]   (B, n_{l+1}, n_l, C)   the weights between hidden layers l and l + 1, all positions of a kernel
    outer      (B, F)                 the output biases
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from weightspace.backbones.output import packed
from weightspace.batch import unpack_layers
from weightspace.spec import NetworkSpec
from weightspace.symmetry.layers import incoming, outgoing


class Features(NamedTuple):
    """Features of a batch of networks, see the module's layout."""

    nodes: list[Tensor]
    edges: list[Tensor]
    outer: Tensor

    def each(self) -> list[Tensor]:
        """All tensors in the order nodes, edges, outer."""
        return [*self.nodes, *self.edges, self.outer]

    def like(self, tensors: list[Tensor]) -> Features:
        """Features of these tensors, in the order of ``each``."""
        count = len(self.nodes)
        return Features(tensors[:count], tensors[count:-1], tensors[-1])

    def with_responses(self, responses: list[Tensor]) -> Features:
        """Adds what neurons compute at some points.

        Args:
            responses: (B, n_l, N) of each layer, the inputs first, as ``Probes`` returns them.
        """
        _, *hidden, outputs = responses
        nodes = [torch.cat(pair, dim=2) for pair in zip(self.nodes, hidden, strict=True)]
        return Features(nodes, self.edges, torch.cat([self.outer, outputs.flatten(1)], dim=1))


class Widths(NamedTuple):
    """Number of features of each tensor of ``Features``."""

    nodes: tuple[int, ...]
    edges: tuple[int, ...]
    outer: int

    @classmethod
    def raw(cls, spec: NetworkSpec) -> Widths:
        """Those of ``features``: every parameter is one."""
        first, *between, last = spec.positions
        hidden = len(spec.widths) - 2
        nodes = [1] * hidden
        nodes[0] += spec.in_dim * first
        nodes[-1] += spec.out_dim * last
        return cls(tuple(nodes), tuple(between), spec.out_dim)

    @classmethod
    def of(cls, spec: NetworkSpec, channels: int) -> Widths:
        """Every weight and bias carries ``channels`` features, with a kernel or without."""
        hidden = len(spec.widths) - 2
        nodes = [channels] * hidden
        nodes[0] += channels * spec.in_dim
        nodes[-1] += channels * spec.out_dim
        return cls(tuple(nodes), (channels,) * (hidden - 1), channels * spec.out_dim)

    def with_responses(self, probes: int, spec: NetworkSpec) -> Widths:
        """The numbers of features with the responses to this many points."""
        return Widths(tuple(n + probes for n in self.nodes), self.edges, self.outer + probes * spec.out_dim)

    def each(self) -> list[int]:
        """All tensors in the order nodes, edges, outer."""
        return [*self.nodes, *self.edges, self.outer]

    def modules(self, module: Callable[[int], nn.Module]) -> Pointwise:
        """One module per tensor of neurons, made from its width. Edges pass unchanged: see ``EquivariantLayer``."""
        edges = [nn.Identity() for _ in self.nodes[1:]]
        return Pointwise([*map(module, self.nodes), *edges, module(self.outer)])


def features(params: Tensor, spec: NetworkSpec) -> Features:
    """One feature per parameter, from (B, P)."""
    weights, biases = unpack_layers(params, spec)
    nodes = [[bias.unsqueeze(2)] for bias in biases[:-1]]
    nodes[0].append(incoming(weights[0]))
    nodes[-1].append(outgoing(weights[-1]))
    edges = [weight if weight.ndim == 4 else weight.unsqueeze(3) for weight in weights[1:-1]]
    return Features([torch.cat(parts, dim=2) for parts in nodes], edges, biases[-1])


def flat(x: Features, spec: NetworkSpec) -> Tensor:
    """The inverse of ``features``: (B, P) from one feature per parameter."""
    out, positions = spec.out_dim, spec.positions
    first = x.nodes[0][:, :, 1 : 1 + spec.in_dim * positions[0]]
    last = x.nodes[-1][:, :, -out * positions[-1] :]
    last = last.mT if positions[-1] == 1 else last.unflatten(2, (out, -1)).transpose(1, 2)
    return packed([first, *x.edges, last], [*(node[:, :, 0] for node in x.nodes), x.outer], spec)


class Pointwise(nn.Module):
    """A map of its own for each tensor of ``Features``, the same for all its entries."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(modules)

    def forward(self, x: Features) -> Features:
        """Maps features of neurons and edges."""
        return x.like([module(tensor) for module, tensor in zip(self.maps, x.each(), strict=True)])
