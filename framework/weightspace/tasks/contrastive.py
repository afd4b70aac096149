"""Pretraining on pairs: contrastive in the style of SimCLR, or by VICReg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from weightspace.backbones.factory import BackboneFactory
from weightspace.batch import WeightBatch
from weightspace.checks import check_sizes
from weightspace.data import ZooDataModule
from weightspace.runs.loops import has_trainer
from weightspace.spec import NetworkSpec
from weightspace.tasks.base import Task
from weightspace.tasks.pair_loss import Compared, PairLoss, finite_pairs, joined


class ContrastiveTask(Task):
    """Trains an encoder on pairs, without labels: NT-Xent (Chen et al., SimCLR, arXiv 2002.05709), or VICReg.

    NT-Xent tells the networks of a pair from all others in the batch. VICReg (Bardes et al., arXiv 2105.04906) has no
    such negatives: it keeps the coordinates of projections spread and uncorrelated.

    The pairs come from the data module: ``data.positives`` and the augmentations determine the invariances. Logs, for
    training and validation, ``loss`` and measures of the embeddings: ``positive_distance`` and ``uniformity`` (Wang and
    Isola, arXiv 2005.10242) and ``embedding_std``, which is 1 for uniform embeddings on the sphere and 0 at collapse;
    for VICReg also its terms ``invariance``, ``variance`` and ``covariance``.

    Args:
        backbone: class of the encoder with its arguments; the architecture comes from the zoo.
        embedding: length of the encoder's result, >= 1.
        projection: length of the projections that the loss compares, >= 1.
        hidden: width of the projector's hidden layers, >= 1.
        layers: number of linear layers of the projector, 2 or 3.
        norm: norm of the projector: "layer" (independent of the batch), "batch", or "none".
        loss: "ntxent" or "vicreg".
        temperature: temperature of NT-Xent, > 0; None: 0.2.
        weights: weights of VICReg's invariance, variance and covariance, >= 0; None: 25, 25, 1.
        options: arguments of ``Task``: optimiser, schedule, ``compile``.

    Raises:
        ConfigError: a value is out of range, or of an option that the loss does not have.
    """

    pairs = True
    monitor = "val/loss"
    monitor_mode = "min"
    artefact_name = "encoder"

    def __init__(
        self,
        backbone: BackboneFactory,
        *,
        embedding: int = 128,
        projection: int = 64,
        hidden: int = 256,
        layers: int = 2,
        norm: str = "layer",
        loss: str = "ntxent",
        temperature: float | None = None,
        weights: Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        check_sizes("ContrastiveTask", embedding=embedding)
        self.embedding = embedding
        self.pair_loss = PairLoss(
            "ContrastiveTask", projection=projection, hidden=hidden, layers=layers, norm=norm, loss=loss,
            temperature=temperature, weights=weights,
        )  # fmt: skip

    @property
    def out_dim(self) -> int:
        """Length of the embedding."""
        return self.embedding

    def networks_per_pass(self, batch_size: int) -> int:
        """Both networks of all pairs."""
        return 2 * batch_size

    def build(self, spec: NetworkSpec) -> None:
        """Builds encoder and projector."""
        super().build(spec)
        # not in the constructor: with several processes, Lightning seeds again in between
        processes = self.trainer.world_size if has_trainer(self) else 1
        self.projector = self.pair_loss.projector(self.embedding, processes)

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if there are no pairs, no negatives in a batch, or batch norm cannot be synchronised."""
        super().check(data, trainer)
        self.pair_loss.check(data, trainer)

    def training_step(self, batch: tuple[WeightBatch, WeightBatch], batch_idx: int) -> Tensor:
        """Computes the loss of a batch of pairs and logs the measures of its embeddings."""
        found = self._compare(batch, self.sizes(batch_idx, len(batch[0])))
        self.log_training_loss(found.own, found.pairs)
        self.log_means({f"train/{name}": value for name, value in found.measures.items()}, found.pairs)
        return found.loss

    def validation_step(self, batch: tuple[WeightBatch, WeightBatch], batch_idx: int) -> None:
        """Logs loss and measures of a batch of validation pairs, whose augmentations draw the same in every epoch."""
        found = self._compare(batch)
        self.log_means({"val/loss": found.own}, found.pairs, prog_bar=True)
        self.log_means({f"val/{name}": value for name, value in found.measures.items()}, found.pairs)

    def _compare(self, batch: tuple[WeightBatch, WeightBatch], sizes: list[int] | None = None) -> Compared:
        embeddings = self(joined(*batch))
        if self.leaves_out and not self.training:
            embeddings = embeddings[finite_pairs(embeddings)]
        return self.pair_loss(self.projector(embeddings), sizes)
