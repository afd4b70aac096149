"""Statistics of the weights: the baseline of those who predict what networks are good for."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.backbones.base import Backbone
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.perceptron import perceptron
from weightspace.batch import WeightBatch, unpack_layers
from weightspace.checks import check_rates, check_sizes
from weightspace.spec import NetworkSpec

#: Quantiles of each tensor, as in the paper.
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Statistics(Backbone):
    """A perceptron on mean, variance and quantiles of each weight and bias tensor.

    Unterthiner et al., arXiv 2002.11448. It reads networks of any architecture, and is invariant to permutations; how
    the weights are arranged is lost.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        hidden: width of the perceptron's hidden layers.
        layers: number of them, >= 1.
        dropout: in [0, 1), after each hidden layer.

    Raises:
        ConfigError: a value out of range.
    """

    invariant_to = frozenset({"permutation"})
    free_widths = True

    def __init__(
        self, spec: NetworkSpec, out_dim: int, hidden: int = 128, layers: int = 2, dropout: float = 0.0
    ) -> None:
        check_sizes("Statistics", hidden=hidden, layers=layers)
        check_rates("Statistics", dropout=dropout)
        width = 2 * spec.num_layers * (2 + len(QUANTILES))
        super().__init__(spec, out_dim, Normaliser(width))
        self.head = perceptron(width, hidden, layers, out_dim, dropout, norm=True)

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        spec = spec or self.spec
        result: Tensor = self.head(self.normaliser(statistics(params, spec)))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets mean and standard deviation of the statistics of training networks."""
        self.normaliser.fit(statistics(batch.params.to(self.normaliser.mean.dtype), batch.spec))


def statistics(params: Tensor, spec: NetworkSpec) -> Tensor:
    """Mean, variance and quantiles (0, 25, 50, 75, 100%) of each tensor, all weights first: (B, 14 L) for L layers.

    Args:
        params: (B, P) parameters.
        spec: their architecture.
    """
    if not len(params):
        return params.new_zeros(0, 2 * spec.num_layers * (2 + len(QUANTILES)))
    exact = params if params.dtype in (torch.float32, torch.float64) else params.float()
    weights, biases = unpack_layers(exact, spec)
    ranks = torch.tensor(QUANTILES, dtype=exact.dtype, device=params.device)
    found = []
    for tensor in (*weights, *biases):
        values = tensor.flatten(1)
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        found.append(torch.cat([torch.stack([mean, variance]), torch.quantile(values, ranks, dim=1)]).mT)
    return torch.cat(found, dim=1).to(params.dtype)
