"""Contrastive pretraining in the style of SimCLR."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from weightspace.backbones.factory import BackboneFactory
from weightspace.batch import WeightBatch
from weightspace.checks import check_choice, check_number, check_sizes
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.runs.loops import has_trainer
from weightspace.spec import NetworkSpec
from weightspace.tasks.base import Task
from weightspace.tasks.losses import embedding_std, nt_xent_and_own, positive_distance, uniformity

NORMS = ("layer", "batch", "none")


class ContrastiveTask(Task):
    """Trains an encoder with NT-Xent (Chen et al., SimCLR, arXiv 2002.05709), without labels.

    The pairs come from the data module: ``data.positives`` and the augmentations determine the invariances. Logs, for
    training and validation, ``loss`` and measures of the embeddings: ``positive_distance`` and ``uniformity`` (Wang and
    Isola, arXiv 2005.10242) and ``embedding_std``, which is 1 for uniform embeddings on the sphere and 0 at collapse.

    Args:
        backbone: class of the encoder with its arguments; the architecture comes from the zoo.
        embedding: length of the encoder's result, >= 1.
        projection: length of the projections that the loss compares, >= 1.
        hidden: width of the projector's hidden layers, >= 1.
        layers: number of linear layers of the projector, 2 or 3.
        norm: norm of the projector: "layer" (independent of the batch), "batch", or "none".
        temperature: temperature of NT-Xent, > 0.
        options: arguments of ``Task``: optimiser, schedule, ``compile``.

    Raises:
        ConfigError: a value is out of range.
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
        temperature: float = 0.2,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        check_sizes("ContrastiveTask", embedding=embedding, projection=projection, hidden=hidden)
        check_choice("ContrastiveTask: layers", layers, (2, 3))
        check_choice("ContrastiveTask: norm", norm, NORMS)
        check_number("ContrastiveTask: temperature", temperature, above=0)
        self.embedding, self.temperature, self.norm = embedding, temperature, norm
        self.widths = [embedding, *[hidden] * (layers - 1), projection]

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
        self.projector = _projector(self.widths, self.norm)
        if self.norm == "batch" and has_trainer(self) and self.trainer.world_size > 1:
            self.projector = nn.SyncBatchNorm.convert_sync_batchnorm(self.projector)

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if there are no pairs, no negatives in a batch, or batch norm cannot be synchronised."""
        super().check(data, trainer)
        if data.positives != "views" and not any(a.changes_networks for a in data.chain.augmentations):
            raise ConfigError(
                f"data.positives {data.positives} makes pairs of a network and itself, and data.augmentations has "
                "nothing that changes networks (with p > 0): both would be equal. Add augmentations, or take "
                "positives: views"
            )
        if data.batch_size < 2:
            raise ConfigError(
                "ContrastiveTask needs other networks in a batch: data.batch_size must be at least 2, "
                f"found {data.batch_size}"
            )
        for split in ("train", "val"):
            if data.count_objects(split) == 1:
                raise ConfigError(
                    f"ContrastiveTask needs other networks in a batch, and {data.zoo.path} has one object for {split}: "
                    f"fit it with {split}=2 or more"
                )
        if self.norm == "batch" and trainer.world_size > 1 and trainer.strategy.root_device.type != "cuda":
            raise ConfigError(
                "ContrastiveTask: norm 'batch' in several processes needs GPUs: torch's SyncBatchNorm takes no CPU "
                "tensors, and statistics of each process by itself are not those of the batch. Take norm: layer"
            )

    def training_step(self, batch: tuple[WeightBatch, WeightBatch], batch_idx: int) -> Tensor:
        """Computes NT-Xent of a batch of pairs and logs the measures of its embeddings."""
        loss, own, measures, count = self._measure(batch, self.sizes(batch_idx, len(batch[0])))
        self.log_training_loss(own, count)
        self.log_means({f"train/{name}": value for name, value in measures.items()}, count)
        return loss

    def validation_step(self, batch: tuple[WeightBatch, WeightBatch], batch_idx: int) -> None:
        """Logs loss and measures of a batch of validation pairs, whose augmentations are the same in every epoch."""
        _, own, measures, count = self._measure(batch)
        self.log_means({"val/loss": own}, count, prog_bar=True)
        self.log_means({f"val/{name}": value for name, value in measures.items()}, count)

    def _measure(
        self, batch: tuple[WeightBatch, WeightBatch], sizes: list[int] | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor], int]:
        """Returns the loss, its mean over this process's networks, measures of embeddings, and the number of pairs."""
        embeddings = self(_joined(*batch))
        if self.leaves_out and not self.training:
            finite = embeddings.isfinite().all(1).view(2, -1).all(0)
            # without pairs there is no loss: if no pair is finite, the loss is not finite either
            embeddings = embeddings[finite.repeat(2)] if finite.any() else embeddings
        first, second = self.projector(embeddings).chunk(2)
        loss, own = nt_xent_and_own(first, second, self.temperature, sizes)
        with torch.no_grad():
            measures = {
                "positive_distance": positive_distance(first, second),
                "embedding_std": embedding_std(first),
                "uniformity": uniformity(first),
            }
        return loss, own, measures, len(first)


def _projector(widths: list[int], norm: str) -> nn.Sequential:
    norms: dict[str, Callable[[int], nn.Module]] = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
    make: Any = norms.get(norm, lambda width: nn.Identity())
    parts: list[nn.Module] = []
    for a, b in pairwise(widths[:-1]):
        parts += [nn.Linear(a, b), make(b), nn.SiLU()]
    return nn.Sequential(*parts, nn.Linear(widths[-2], widths[-1]))


def _joined(first: WeightBatch, second: WeightBatch) -> WeightBatch:
    """Concatenates two batches, so that the encoder runs once."""
    params = torch.cat([first.params, second.params])
    return WeightBatch(
        params, first.spec, objects=_both(first.objects, second.objects), views=_both(first.views, second.views)
    )


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])
