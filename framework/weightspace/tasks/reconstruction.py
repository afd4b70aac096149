"""Pretraining by reading back: what a network computes is predicted from the embedding of its weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from weightspace.backbones.factory import BackboneFactory
from weightspace.batch import WeightBatch
from weightspace.checks import check_number, check_sizes
from weightspace.data import ZooDataModule
from weightspace.distributed import share
from weightspace.errors import ConfigError
from weightspace.network import spread
from weightspace.runs.loops import has_trainer
from weightspace.spec import NetworkSpec
from weightspace.tasks.base import Task
from weightspace.tasks.pair_loss import finite_pairs, joined, made_pair_loss
from weightspace.tasks.read_back import ReadBack

#: Points of validation, the same in every epoch.
VAL_POINTS = 512
#: Most training networks that give mean and deviation of the outputs.
KNOWN = 1_000


class _Measured(NamedTuple):
    """What a batch has given: error in units of the outputs' variance, loss of pairs (see ``Compared``), measures."""

    error: Tensor
    loss: Tensor | None
    own: Tensor | None
    measures: dict[str, Tensor]
    networks: int


class ReconstructionTask(Task):
    """Trains an encoder, without labels, so that a decoder can compute from its embedding what a network computes.

    In each step the decoder predicts the outputs of the batch's networks at new random points of [-1, 1] in each input,
    the domain of the networks' objects. The targets are what these networks compute there, so that no objects are
    needed; those of augmented networks are their own: a turned network has to be read back turned. With
    ``contrastive``, the loss of pairs of ``ContrastiveTask`` is added with this weight; ``data.positives`` then gives
    the pairs, of which both networks are read back.

    Logs, for training and validation, ``loss`` (the squared error in units of the variance of the training networks'
    outputs, plus that of pairs), ``mse`` and ``psnr`` (dB), as means over networks, where the values 0 and 1 of objects
    are 1 apart; with ``contrastive``, also ``contrastive``, the loss of pairs, and the measures of ``ContrastiveTask``.
    Validation has fixed points.

    Args:
        backbone: class of the encoder with its arguments; the architecture comes from the zoo.
        embedding: length of the encoder's result, >= 1.
        points: points per step, >= 1.
        width: width of the decoder's hidden layers, >= 1.
        depth: number of the decoder's hidden layers, >= 1.
        frequency: of the decoder, in radians per unit of the coordinates, > 0: twice as high for details half as large.
        contrastive: weight of the loss of pairs, >= 0.
        pair_loss: options of that loss by name: ``projection``, ``hidden``, ``layers``, ``norm``, ``loss``,
            ``temperature`` and ``weights`` of ``ContrastiveTask``; None: its defaults.
        options: arguments of ``Task``: optimiser, schedule, ``compile``.

    Raises:
        ConfigError: a value is out of range, or would be ignored.
    """

    monitor = "val/mse"
    monitor_mode = "min"
    artefact_name = "encoder"
    constant_buffers = frozenset({"val_points"})

    val_points: Tensor

    def __init__(
        self,
        backbone: BackboneFactory,
        *,
        embedding: int = 128,
        points: int = 256,
        width: int = 64,
        depth: int = 3,
        frequency: float = 10.0,
        contrastive: float = 0.0,
        pair_loss: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        check_sizes("ReconstructionTask", embedding=embedding, points=points, width=width, depth=depth)
        check_number("ReconstructionTask: frequency", frequency, above=0)
        check_number("ReconstructionTask: contrastive", contrastive, low=0)
        self.embedding, self.points, self.contrastive = embedding, points, contrastive
        self.decoder_options = (width, depth, frequency)
        self.pairs = contrastive > 0
        if pair_loss is not None and not self.pairs:
            raise ConfigError(
                "ReconstructionTask: pair_loss would be ignored with contrastive 0: leave it out, or give contrastive "
                "a weight"
            )
        self.pair_loss = made_pair_loss("ReconstructionTask", pair_loss or {})

    @property
    def out_dim(self) -> int:
        """Length of the embedding."""
        return self.embedding

    def networks_per_pass(self, batch_size: int) -> int:
        """Those of the batch, or both networks of all pairs."""
        return 2 * batch_size if self.pairs else batch_size

    def build(self, spec: NetworkSpec) -> None:
        """Builds encoder, decoder and, for pairs, the projector.

        Raises:
            ConfigError: the networks have more inputs than those of signals, images and solids.
        """
        super().build(spec)
        self.read_back = ReadBack(spec, self.embedding, *self.decoder_options)
        self.register_buffer("val_points", spread(spec.in_dim, VAL_POINTS), persistent=False)
        if self.pairs:
            processes = self.trainer.world_size if has_trainer(self) else 1
            self.projector = self.pair_loss.projector(self.embedding, processes)

    def prepare(self, data: ZooDataModule) -> None:
        """Sets the statistics of the training networks and of their outputs."""
        super().prepare(data)
        self.read_back.fit(data.training_batches(KNOWN), self.val_points, data.zoo.value_range)

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if data and weights do not agree on whether there are pairs, or they cannot be used."""
        if data.positives is not None and not self.pairs:
            raise ConfigError(
                f"ReconstructionTask with contrastive 0 makes no use of pairs (data.positives {data.positives}): leave "
                "data.positives out, or give contrastive a weight"
            )
        super().check(data, trainer)
        if self.pairs:
            self.pair_loss.check(data, trainer)

    def reconstruct(self, batch: WeightBatch, coordinates: Tensor) -> Tensor:
        """Predicts (B, N, C) outputs of networks, in their own units, from their embeddings.

        Args:
            batch: B networks with d inputs and C outputs.
            coordinates: (N, d), or (B, N, d) with a set of points for each network.
        """
        outputs: Tensor = self.read_back(self(batch), coordinates)
        return outputs

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Computes the loss of a batch at new points and logs it."""
        first = batch[0] if self.pairs else batch
        sizes = self.sizes(batch_idx, len(first))
        found = self._measure(batch, self._draw(first), sizes)
        self.log_training_loss(self._sum(found.error, found.own), found.networks)
        self.log_means({f"train/{name}": value for name, value in found.measures.items()}, found.networks)
        weight = share(found.networks, found.error, None if sizes is None else sum(sizes))
        return self._sum(found.error * weight, found.loss)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Logs loss and measures of a batch of validation networks, or pairs, at fixed points."""
        found = self._measure(batch, self.val_points)
        measures = {"loss": self._sum(found.error, found.own), **found.measures}
        for name, value in measures.items():
            self.log_means({f"val/{name}": value}, found.networks, prog_bar=name == "mse")

    def _draw(self, batch: WeightBatch) -> Tensor:
        """(N, d) points of a training step: a resumed run repeats them, and all processes have the same."""
        key = (self.data.seed if self._has_data else 0, self.global_step, batch.index)
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
        generator = torch.Generator(device=batch.device).manual_seed(seed)
        kind: dict[str, Any] = {"device": batch.device, "dtype": batch.params.dtype, "generator": generator}
        return 2 * torch.rand(self.points, batch.spec.in_dim, **kind) - 1

    def _sum(self, error: Tensor, loss: Tensor | None) -> Tensor:
        """The error, and the loss of pairs with its weight."""
        return error if loss is None else error + self.contrastive * loss

    def _measure(self, batch: Any, points: Tensor, sizes: list[int] | None = None) -> _Measured:
        networks = joined(*batch) if self.pairs else batch
        embeddings = self(networks)
        if self.leaves_out and not self.training:
            finite = finite_pairs(embeddings) if self.pairs else embeddings.isfinite().all(1)
            networks, embeddings = networks.select(finite), embeddings[finite]
        errors = self.read_back.errors(embeddings, networks, points)
        error, measures = errors.mean(), self.read_back.measures(errors)
        if not self.pairs:
            return _Measured(error, None, None, measures, len(networks))
        found = self.pair_loss(self.projector(embeddings), sizes)
        return _Measured(
            error, found.loss, found.own, {**measures, "contrastive": found.own, **found.measures}, found.pairs
        )
