"""A decoder that computes what a network represents at given coordinates, from its embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FieldDecoder(nn.Module):
    """A perceptron on Fourier features of coordinates (Tancik et al., arXiv 2006.10739), modulated by an embedding.

    The embedding scales and shifts the hidden neurons (FiLM, Perez et al., arXiv 1709.07871). Features of points that
    all networks share, and what the first layer makes of them, are computed once.

    Args:
        embedding: length E of the embedding.
        in_dim: number d of coordinates.
        out_dim: number C of values at each point.
        width: width of the hidden layers, and number of frequencies, >= 1.
        depth: number of hidden layers, >= 1.
        frequency: standard deviation of the frequencies, in radians per unit of the coordinates, > 0.
    """

    constant_buffers = frozenset({"frequencies"})

    frequencies: Tensor

    def __init__(self, embedding: int, in_dim: int, out_dim: int, width: int, depth: int, frequency: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequency * torch.randn(width, in_dim))
        widths = [2 * width + in_dim, *[width] * (depth - 1)]
        self.hidden = nn.ModuleList(nn.Linear(before, width) for before in widths)
        self.modulation = nn.Linear(embedding, 2 * depth * width)
        self.last = nn.Linear(width, out_dim)

    def forward(self, embeddings: Tensor, coordinates: Tensor) -> Tensor:
        """Computes the values at all points for all embeddings.

        Args:
            embeddings: (B, E).
            coordinates: (N, d) for all embeddings, or (B, N, d).

        Returns:
            (B, N, C).
        """
        modulations = self.modulation(embeddings).unflatten(1, (len(self.hidden), 2, 1, -1)).unbind(1)  # (B, 2, 1, H)
        h = self._features(coordinates)
        for layer, modulation in zip(self.hidden, modulations, strict=True):
            scale, shift = modulation.unbind(1)  # (B, 1, H)
            h = F.silu(layer(h) * (1 + scale) + shift)  # (B, N, H)
        result: Tensor = self.last(h)
        return result

    def _features(self, coordinates: Tensor) -> Tensor:
        """The coordinates with sines and cosines of their frequencies, (..., 2 width + d)."""
        # without autocast: the phase of a high frequency needs more precision than that of bfloat16
        with torch.autocast(coordinates.device.type, enabled=False):
            points = coordinates.to(self.frequencies.dtype)
            phases = points @ self.frequencies.T
            return torch.cat([points, phases.sin(), phases.cos()], dim=-1)
