"""How a task learns from pairs: a projector on its embeddings, and the loss that compares the projections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from itertools import pairwise
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from weightspace.batch import WeightBatch
from weightspace.checks import check_choice, check_number, check_sizes, is_number, require
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError, closest
from weightspace.tasks.losses import embedding_std, nt_xent_and_own, positive_distance, uniformity
from weightspace.tasks.vicreg import WEIGHTS, vicreg_terms

LOSSES = ("ntxent", "vicreg")
NORMS = ("layer", "batch", "none")
#: Temperature of NT-Xent.
TEMPERATURE = 0.2


class Compared(NamedTuple):
    """What a batch of pairs has given.

    Attributes:
        loss: that of the global batch, or this process's share of it, see ``nt_xent``.
        own: its mean over this process's networks; for VICReg, which has no such part, that of the global batch.
        measures: measures of the projections by name.
        pairs: number of pairs.
    """

    loss: Tensor
    own: Tensor
    measures: dict[str, Tensor]
    pairs: int


class PairLoss:
    """The projector that a task puts on its encoder, and the loss of its projections, with their options.

    Args:
        owner: name of the task, for messages.
        projection, hidden, layers, norm, loss, temperature, weights: see ``ContrastiveTask``.

    Raises:
        ConfigError: a value is out of range, or of an option that the loss does not have.
    """

    def __init__(
        self,
        owner: str,
        *,
        projection: int = 64,
        hidden: int = 256,
        layers: int = 2,
        norm: str = "layer",
        loss: str = "ntxent",
        temperature: float | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        check_sizes(owner, projection=projection, hidden=hidden)
        check_choice(f"{owner}: layers", layers, (2, 3))
        check_choice(f"{owner}: norm", norm, NORMS)
        check_choice(f"{owner}: loss", loss, LOSSES)
        for name, value, used in (("temperature", temperature, "ntxent"), ("weights", weights, "vicreg")):
            if value is not None and loss != used:
                raise ConfigError(f"{owner}: {name} would be ignored, since it is of the loss {used}: leave it out")
        self.owner, self.loss, self.norm = owner, loss, norm
        self.temperature = TEMPERATURE if temperature is None else temperature
        check_number(f"{owner}: temperature", self.temperature, above=0)
        self.weights = _checked(f"{owner}: weights", WEIGHTS if weights is None else weights)
        self.widths = [*[hidden] * (layers - 1), projection]

    def projector(self, embedding: int, processes: int) -> nn.Module:
        """Builds the projector.

        Args:
            embedding: length of the embeddings.
            processes: their number; over several of them a batch norm is synchronised.
        """
        norms: dict[str, Callable[[int], nn.Module]] = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
        make: Any = norms.get(self.norm, lambda width: nn.Identity())
        widths, parts = [embedding, *self.widths], list[nn.Module]()
        for a, b in pairwise(widths[:-1]):
            parts += [nn.Linear(a, b), make(b), nn.SiLU()]
        projector = nn.Sequential(*parts, nn.Linear(widths[-2], widths[-1]))
        if self.norm == "batch" and processes > 1:
            return nn.SyncBatchNorm.convert_sync_batchnorm(projector)
        return projector

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if pairs are equal, a batch has only one, or batch norm cannot be synchronised."""
        if data.positives != "views" and not any(a.changes_networks for a in data.chain.augmentations):
            raise ConfigError(
                f"data.positives {data.positives} makes pairs of a network and itself, and data.augmentations has "
                "nothing that changes networks (with p > 0): both would be equal. Add augmentations, or take "
                "positives: views"
            )
        if data.batch_size < 2:
            raise ConfigError(
                f"{self.owner} needs other networks in a batch: data.batch_size must be at least 2, "
                f"found {data.batch_size}"
            )
        for split in ("train", "val"):
            if data.count_objects(split) == 1:
                raise ConfigError(
                    f"{self.owner} needs other networks in a batch, and {data.zoo.path} has one object for {split}: "
                    f"fit it with {split}=2 or more"
                )
        if self.norm == "batch" and trainer.world_size > 1 and trainer.strategy.root_device.type != "cuda":
            raise ConfigError(
                f"{self.owner}: norm 'batch' in several processes needs GPUs: torch's SyncBatchNorm takes no CPU "
                "tensors, and statistics of each process by itself are not those of the batch. Take norm: layer"
            )

    def __call__(self, projections: Tensor, sizes: list[int] | None = None) -> Compared:
        """Compares the projections of pairs.

        Args:
            projections: (2n, D), the first networks of all pairs and then the second ones.
            sizes: n of each process, if all know them.
        """
        # products and distances need more precision than half of it, which autocast would take
        with torch.autocast(projections.device.type, enabled=False):
            first, second = projections.to(torch.promote_types(projections.dtype, torch.float32)).chunk(2)
            return self._compared(first, second, sizes)

    def _compared(self, first: Tensor, second: Tensor, sizes: list[int] | None) -> Compared:
        terms: dict[str, Tensor] = {}
        if self.loss == "ntxent":
            loss, own = nt_xent_and_own(first, second, self.temperature, sizes)
        else:
            found = vicreg_terms(first, second, sizes)
            loss = found.weighted(self.weights)
            own, terms = loss.detach(), {name: term.detach() for name, term in found._asdict().items()}
        with torch.no_grad():
            measures = {
                "positive_distance": positive_distance(first, second),
                "embedding_std": embedding_std(first),
                "uniformity": uniformity(first),
            }
        return Compared(loss, own, {**measures, **terms}, len(first))


def made_pair_loss(owner: str, options: Any) -> PairLoss:
    """A pair loss from its options by name, as a configuration holds them.

    Raises:
        ConfigError: they are no mapping, or of an option that there is not, or out of range.
    """
    require(f"{owner}: pair_loss", options, isinstance(options, Mapping), "a mapping of options")
    known = [name for name in signature(PairLoss).parameters if name != "owner"]
    for name in options:
        if name not in known:
            raise ConfigError(f"{owner}: pair_loss has no option {name}: {closest(str(name), known)}")
    return PairLoss(f"{owner}: pair_loss", **options)


def joined(first: WeightBatch, second: WeightBatch) -> WeightBatch:
    """Concatenates the two batches of pairs, so that the encoder runs once."""
    params = torch.cat([first.params, second.params])
    return WeightBatch(
        params, first.spec, objects=_both(first.objects, second.objects), views=_both(first.views, second.views)
    )


def finite_pairs(embeddings: Tensor) -> Tensor:
    """(2n,) which embeddings belong to pairs of finite ones.

    All of them if there is no such pair: without pairs there is no loss, and that of these is not finite either.

    Args:
        embeddings: (2n, D), the first networks of all pairs and then the second ones.
    """
    finite = embeddings.isfinite().all(1).view(2, -1).all(0)
    return (finite | ~finite.any()).repeat(2)


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


def _checked(name: str, weights: Any) -> tuple[float, ...]:
    """The weights of VICReg, of which at least one is not 0."""
    given = tuple(weights) if isinstance(weights, list | tuple) else ()
    valid = len(given) == 3 and all(is_number(w) and w >= 0 for w in given) and any(given)
    require(name, weights, valid, "three numbers >= 0, of invariance, variance and covariance, and not all 0")
    return tuple(float(w) for w in given)
