"""A backbone that uses only the norms of hidden neurons."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from weightspace.backbones import Backbone, Normaliser
from weightspace.batch import unpack_layers
from weightspace.spec import NetworkSpec


class NeuronNorms(Backbone):
    """A perceptron on bias and norms of each hidden neuron; the mean over the neurons does not see their order.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result, >= 1.
        hidden: features of each neuron, >= 1.
    """

    invariant_to = frozenset({"permutation"})  # the contract's checks find out whether this is true

    def __init__(self, spec: NetworkSpec, out_dim: int, hidden: int = 32) -> None:
        super().__init__(spec, out_dim, Normaliser.per_tensor(spec))  # its statistics are saved with the weights
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(3, hidden), nn.SiLU()) for _ in spec.widths[1:-1])
        self.head = nn.Linear(hidden * len(self.layers), out_dim)

    def encode(self, params: Tensor) -> Tensor:
        """(B, out_dim) from (B, P) parameters: tensors alone, so that it compiles."""
        weights, biases = unpack_layers(self.normaliser(params), self.spec)
        means = []
        for number, layer in enumerate(self.layers):
            incoming = weights[number].flatten(2).square().mean(2)  # a kernel's positions count as inputs
            outgoing = weights[number + 1].transpose(1, 2).flatten(2).square().mean(2)
            neurons = torch.stack([biases[number], incoming, outgoing], dim=2)  # (B, n, 3)
            means.append(layer(neurons).mean(1))  # (B, hidden)
        return self.head(torch.cat(means, dim=1))
