"""Classification with a pretrained encoder, or with the same network trained from scratch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl

from weightspace.backbones.artefact import describe_encoder, load_weights
from weightspace.backbones.base import Backbone
from weightspace.backbones.classifier import EncoderClassifier
from weightspace.backbones.factory import BackboneFactory, BuiltBackbone, backbone_factory, build_backbone
from weightspace.checks import check_choice, check_number, check_sizes
from weightspace.data import ZooDataModule
from weightspace.data.seen import check_unseen
from weightspace.errors import ConfigError
from weightspace.tasks.optim import Role
from weightspace.tasks.supervised import SupervisedTask

MODES = ("full", "frozen", "linear")


class FineTuneTask(SupervisedTask):
    """Trains an encoder and a classifier on its embedding; without ``encoder``, the same network from scratch.

    Mode "full" trains both, a pretrained encoder with a lower learning rate. "frozen" trains only a perceptron on the
    embedding, and "linear" only a linear layer: no weight, buffer or statistic of the encoder changes.

    Args:
        backbone: class of the encoder with its arguments, as in pretraining.
        encoder: path of ``encoder.safetensors``, or of a run's folder, whose best epoch is used; None: train from
            scratch, which requires mode "full".
        embedding: length of the encoder's result, as in pretraining.
        mode: "full", "frozen" or "linear".
        encoder_rate: learning rate of a pretrained encoder as a fraction of ``learning_rate``, in (0, 1].
        options: arguments of ``SupervisedTask``: optimiser, schedule, ``label_smoothing``, ``compile``.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        backbone: BackboneFactory,
        *,
        encoder: str | Path | None = None,
        embedding: int = 128,
        mode: str = "full",
        encoder_rate: float = 0.3,
        **options: Any,
    ) -> None:
        whole = partial(EncoderClassifier, encoder=backbone, embedding=embedding, mode=mode)
        super().__init__(whole, **options)
        check_sizes("FineTuneTask", embedding=embedding)
        check_choice("FineTuneTask: mode", mode, MODES)
        if mode != "full" and encoder is None:
            raise ConfigError(f"FineTuneTask: mode {mode} trains no encoder: give it a pretrained one (encoder: PATH)")
        if mode != "full" and self.compile_backbone is True:
            raise ConfigError(
                f"FineTuneTask: compile true would be ignored, since only what is trained is compiled, and mode {mode} "
                "trains no encoder. Leave one or the other out"
            )
        check_number("FineTuneTask: encoder_rate", encoder_rate, above=0, high=1)
        self.make_encoder = backbone_factory(backbone, "FineTuneTask: backbone")
        if isinstance(self.make_encoder, BuiltBackbone):
            raise ConfigError(
                "FineTuneTask: backbone should be a class with its arguments, DWS.partial(...); a pretrained encoder "
                "is given by its file (encoder: PATH)"
            )
        self.path, self.embedding, self.mode = encoder, embedding, mode
        self.encoder_rate = encoder_rate if encoder is not None else 1.0

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if the encoder is for other networks, of another class, or has seen what is tested."""
        super().check(data, trainer)
        if self.path is not None:
            said = describe_encoder(self.path).get("trained_on")
            for networks in (data.zoo, data.tested):
                check_unseen(networks, said, f"the encoder {self.path}")
            load_weights(self.path, build_backbone(self.make_encoder, data.spec, self.embedding))

    def prepare(self, data: ZooDataModule) -> None:
        """Loads the pretrained weights into the encoder, or else sets its statistics."""
        if self.path is None:
            super().prepare(data)
        else:
            load_weights(self.path, self.encoder)

    @property
    def encoder(self) -> Backbone:
        """The encoder without the classifier."""
        return cast(EncoderClassifier, self.backbone).encoder

    def role(self, name: str) -> Role:
        """Gives the pretrained encoder a group with a lower learning rate."""
        return ("encoder", self.encoder_rate) if name.startswith("backbone.encoder.") else ("", 1.0)
