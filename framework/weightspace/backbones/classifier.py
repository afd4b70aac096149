"""A classification head on an encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.factory import BackboneFactory, build_backbone
from weightspace.backbones.perceptron import perceptron
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec


class EncoderClassifier(Backbone):
    """An encoder with a head: a linear map, or a perceptron if the encoder is frozen.

    Args:
        spec: architecture of the networks.
        out_dim: number of classes.
        encoder: class of the encoder, with its arguments.
        embedding: length of the encoder's result.
        mode: see ``FineTuneTask``.
    """

    # the encoder within has its description in saved weights, and the head has its shapes
    get_extra_state = nn.Module.get_extra_state
    set_extra_state = nn.Module.set_extra_state

    encoder: Backbone

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        encoder: BackboneFactory,
        embedding: int,
        mode: str = "full",
    ) -> None:
        super().__init__(spec, out_dim, None)
        self.mode, self.still = mode, mode != "full"
        self.encoder = build_backbone(encoder, spec, embedding).requires_grad_(not self.still)
        self.invariant_to, self.compile_pays = self.encoder.invariant_to, self.encoder.compile_pays
        self.free_widths = self.encoder.free_widths
        layer = perceptron(embedding, embedding, 1, out_dim, 0.0) if mode == "frozen" else nn.Linear(embedding, out_dim)
        self.head = nn.Sequential(nn.LayerNorm(embedding), layer)

    def forward(self, batch: WeightBatch) -> Tensor:
        """Maps (B, P) parameters to (B, out_dim) logits."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.still):
            embeddings = self.encoder(batch)
        result: Tensor = self.head(embeddings)
        return result

    def encode(self, params: Tensor) -> Tensor:
        """(B, out_dim) logits from (B, P) parameters."""
        return self(WeightBatch(params, self.spec))

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics of the encoder."""
        self.encoder.fit_normaliser(batch)

    def blocks(self) -> Sequence[nn.Module]:
        """The encoder."""
        return [self.encoder]

    def train(self, mode: bool = True) -> EncoderClassifier:
        """Sets training mode; a frozen encoder stays in evaluation mode, without dropout."""
        super().train(mode)
        if self.still:
            self.encoder.eval()
        return self
