"""Reading networks back: what they compute is predicted from their embeddings, and compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightspace.backbones.normaliser import Normaliser
from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError
from weightspace.network import decibels, evaluate
from weightspace.spec import NetworkSpec
from weightspace.tasks.field_decoder import FieldDecoder

#: Most inputs of networks that represent a signal, an image or a solid.
MOST_INPUTS = 3
#: Networks whose statistics are computed together.
_BLOCK = 100


class ReadBack(nn.Module):
    """A ``FieldDecoder`` of what networks compute, which it predicts in units of the training networks' outputs.

    Args:
        spec: architecture of the networks.
        embedding: length E of their embeddings.
        width, depth, frequency: see ``FieldDecoder``.

    Raises:
        ConfigError: the networks have more inputs than those of signals, images and solids.
    """

    constant_buffers = frozenset({"span"})

    span: Tensor

    def __init__(self, spec: NetworkSpec, embedding: int, width: int, depth: int, frequency: float) -> None:
        super().__init__()
        if not 1 <= spec.coordinates <= MOST_INPUTS:
            raise ConfigError(
                f"networks can be read back at points of [-1, 1] in each of 1 to {MOST_INPUTS} inputs, the domain of "
                f"signals, images and solids, and these, {spec}, are classifiers: take ContrastiveTask"
            )
        self.values = Normaliser(spec.out_dim)
        self.register_buffer("span", torch.ones(()))
        self.decoder = FieldDecoder(embedding, spec.in_dim, spec.out_dim, width, depth, frequency)

    def fit(self, batches: Sequence[WeightBatch], points: Tensor, value_range: tuple[float, float]) -> None:
        """Sets mean and standard deviation of the outputs, for each channel, and the unit of the measures.

        Args:
            batches: training networks, of each width one batch.
            points: (N, d).
            value_range: the outputs that stand for 0 and 1 of objects, see ``Zoo.value_range``.
        """
        self.span.fill_(value_range[1] - value_range[0])
        parts = [
            evaluate(batch[first : first + _BLOCK], points)
            for batch in batches
            for first in range(0, len(batch), _BLOCK)
        ]
        self.values.fit(torch.cat(parts).flatten(0, 1))

    def forward(self, embeddings: Tensor, coordinates: Tensor) -> Tensor:
        """Predicts (B, N, C) outputs of the networks with these embeddings (B, E), in their own units.

        Args:
            embeddings: of B networks.
            coordinates: (N, d), or (B, N, d) with a set of points for each network.
        """
        decoded: Tensor = self.decoder(embeddings, coordinates)
        return decoded * self.values.std + self.values.mean

    def errors(self, embeddings: Tensor, networks: WeightBatch, coordinates: Tensor) -> Tensor:
        """Mean squared errors (B, C) of each network and channel, in units of the training networks' variance.

        No gradient flows to the networks.

        Args:
            embeddings: (B, E), of the networks.
            networks: B networks.
            coordinates: (N, d).
        """
        # without autocast: a sine of frequency 30 needs more precision than that of bfloat16
        with torch.no_grad(), torch.autocast(coordinates.device.type, enabled=False):
            exact = networks.to(dtype=torch.promote_types(networks.params.dtype, torch.float32))
            targets = self.values(evaluate(exact, coordinates))
        decoded: Tensor = self.decoder(embeddings, coordinates)
        return (decoded - targets).square().mean(1)

    @torch.no_grad()
    def measures(self, errors: Tensor) -> dict[str, Tensor]:
        """Means over networks of ``mse`` and ``psnr`` (dB), where the values 0 and 1 of objects are 1 apart.

        Args:
            errors: (B, C), those of ``errors``.
        """
        squared = (errors * (self.values.std / self.span).square()).mean(1)
        return {"mse": squared.mean(), "psnr": decibels(squared).mean()}
