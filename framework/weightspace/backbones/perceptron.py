"""A perceptron, the head of most backbones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StandardisedInput(nn.Module):
    """A layer norm that appends the mean and the standard deviation that it removes as two features.

    Args:
        width: number of inputs.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, width) to (B, width + 2) features."""
        mean = x.mean(1, keepdim=True)
        deviation = (x - mean).square().mean(1, keepdim=True).add(self.norm.eps).sqrt()
        return torch.cat([self.norm(x), mean, deviation], dim=1)


def perceptron(width: int, hidden: int, layers: int, out_dim: int, dropout: float, norm: bool = False) -> nn.Sequential:
    """Builds a perceptron: linear layers with SiLU and dropout between them.

    Args:
        width: number of inputs.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
        out_dim: number of outputs.
        dropout: in [0, 1), after each hidden layer.
        norm: begin with a ``StandardisedInput``.
    """
    parts: list[nn.Module] = []
    if norm:
        parts, width = [StandardisedInput(width)], width + 2
    for _ in range(layers):
        parts += [nn.Linear(width, hidden), nn.SiLU(), nn.Dropout(dropout)]
        width = hidden
    return nn.Sequential(*parts, nn.Linear(width, out_dim))
