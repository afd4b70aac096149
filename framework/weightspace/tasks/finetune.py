"""Classification on top of a pretrained encoder, and its twin from scratch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import lightning.pytorch as pl
from torch import nn

from weightspace.backbones.artefact import load_weights
from weightspace.backbones.base import Backbone, build_backbone
from weightspace.backbones.classifier import EncoderClassifier
from weightspace.checks import check_choice, check_number, check_sizes
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks.supervised import SupervisedTask

MODES = ("full", "frozen", "linear")


class FineTuneTask(SupervisedTask):
    """An encoder and a classifier on its embedding. Without ``encoder`` the same network, trained from scratch.

    Modes: "full" trains both, the pretrained encoder with a lower rate; "frozen" trains a perceptron on the embedding,
    "linear" a linear map: no weight, buffer or statistic of the encoder changes.

    Args:
        backbone: class of the encoder, with its arguments: those of pretraining.
        encoder: path of ``encoder.safetensors``; None: from scratch, which only the mode "full" can be.
        embedding: length of the encoder's result: that of pretraining.
        mode: "full", "frozen" or "linear".
        encoder_rate: rate of a pretrained encoder as a part of ``learning_rate``, in (0, 1].
        learning_rate, weight_decay, warmup, label_smoothing, compile: see ``SupervisedTask``.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        backbone: Callable[[NetworkSpec, int], Backbone],
        encoder: str | None = None,
        embedding: int = 128,
        mode: str = "full",
        encoder_rate: float = 0.3,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        label_smoothing: float = 0.0,
        compile: bool = False,
    ) -> None:
        super().__init__(backbone, learning_rate, weight_decay, warmup, label_smoothing, compile)
        check_sizes("FineTuneTask", embedding=embedding)
        check_choice("FineTuneTask: mode", mode, MODES)
        if mode != "full" and encoder is None:
            raise ConfigError(f"FineTuneTask: mode {mode} trains no encoder: give it a pretrained one (encoder: PATH)")
        check_number("FineTuneTask: encoder_rate", encoder_rate, above=0, high=1)
        self.path, self.embedding, self.mode = encoder, embedding, mode
        self.encoder_rate = encoder_rate if encoder is not None else 1.0

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the encoder is of other networks, another class or other arguments."""
        super().check(data, trainer)
        if self.path is not None:
            load_weights(self.path, build_backbone(self.make_backbone, data.spec, self.embedding))

    def build(self, data: ZooDataModule, classes: int) -> nn.Module:
        """Encoder and classifier."""
        network = EncoderClassifier(data.spec, classes, self.make_backbone, self.embedding, self.mode)
        if self.path is None:
            network.fit_normaliser(data.training_batch())
        else:
            load_weights(self.path, network.encoder)
        return network

    @property
    def encoder(self) -> Backbone:
        """The encoder, without the classifier."""
        return cast(EncoderClassifier, self.backbone).encoder

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine; the pretrained encoder's rate is lower."""
        steps = int(self.trainer.estimated_stepping_batches)
        slow = {id(parameter) for parameter in self.encoder.parameters()}
        optimiser, schedule = self.optimisation.build(
            self, steps, lambda parameter: ("encoder_", self.encoder_rate) if id(parameter) in slow else ("", 1.0)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": "rate"}}
