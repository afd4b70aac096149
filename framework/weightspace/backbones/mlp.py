"""The baseline without symmetries: a multi-layer perceptron on the flat parameter vector."""

from __future__ import annotations

from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.normaliser import Normaliser
from weightspace.checks import check_rates, check_sizes
from weightspace.spec import NetworkSpec


class MLP(Backbone):
    """Linear layers with layer norm, ReLU and dropout, on parameters that are normalised one by one.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        hidden: width of the hidden layers, >= 2.
        layers: number of hidden layers, >= 1.
        dropout: in [0, 1).

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self, spec: NetworkSpec, out_dim: int, hidden: int = 64, layers: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__(spec, out_dim, Normaliser(spec.num_params))
        check_sizes("MLP", layers=layers)
        check_sizes("MLP", least=2, hidden=hidden)
        check_rates("MLP", dropout=dropout)
        parts: list[nn.Module] = []
        width = spec.num_params
        for _ in range(layers):
            parts += [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden
        self.network = nn.Sequential(*parts, nn.Linear(width, out_dim))

    def encode(self, params: Tensor) -> Tensor:
        """Maps (B, P) parameters to (B, out_dim)."""
        result: Tensor = self.network(self.normaliser(params))
        return result
