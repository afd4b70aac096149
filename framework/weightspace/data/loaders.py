"""The loaders of a data module: batches, or pairs, of the networks of one zoo, or of several in one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from weightspace.batch import WeightBatch
from weightspace.data.loading import LateLoader, quiet_hang_ups
from weightspace.data.mixed_batches import MixedDataset, MixedSampler
from weightspace.data.sampling import BatchSampler, PairSampler, ZooDataset
from weightspace.errors import ConfigError
from weightspace.zoo import Zoo

#: Zoos with rows of each that are loaded together.
Parts = Sequence[tuple[Zoo, Tensor]]


class Loaders:
    """Makes loaders in which each row is in one batch of each epoch, and each batch is of one zoo.

    Args:
        seed: of the order of batches.
        num_workers: loader processes.
        memory_gb: largest size in gigabytes up to which the parameters of a loader are copied to memory.
        place: rank of this process and world size, when a loader is made.
        first_batch: index of the first batch of a shuffled pass, when it begins.
        pinned: whether batches go to a GPU, when a loader is made.
    """

    def __init__(
        self,
        seed: int,
        num_workers: int,
        memory_gb: float,
        place: Callable[[], tuple[int, int]],
        first_batch: Callable[[], int],
        pinned: Callable[[], bool],
    ) -> None:
        self.seed, self.num_workers, self.memory_gb = seed, num_workers, memory_gb
        self.place, self.first_batch, self.pinned = place, first_batch, pinned

    def batches(self, parts: Parts, batch_size: int, shuffle: bool, **labels: Any) -> DataLoader[WeightBatch]:
        """A loader of batches.

        Args:
            parts: zoos with rows of each.
            batch_size: networks per batch and process.
            shuffle: whether each epoch has a new order.
            labels: arguments of ``ZooDataset``.

        Raises:
            ConfigError: there are fewer networks of a zoo than processes.
        """
        samplers = []
        for zoo, rows in parts:
            rank, world = self._place(zoo, len(rows))
            samplers.append(BatchSampler(len(rows), batch_size, shuffle, self.seed, rank, world))
        return self._loader(parts, samplers, **labels)

    def pairs(
        self, parts: Parts, batch_size: int, shuffle: bool, positives: str, **labels: Any
    ) -> DataLoader[WeightBatch]:
        """A loader of pairs of batches, with every object once; arguments are those of ``batches``.

        Args:
            positives: kind of the pairs, see ``PairSampler``.

        Raises:
            ConfigError: there are fewer objects of a zoo than processes.
        """
        # the views of an object side by side
        sorted_parts = [(zoo, rows[zoo.objects[rows].argsort(stable=True)]) for zoo, rows in parts]
        samplers = []
        for zoo, rows in sorted_parts:
            views = views_of(zoo, rows)
            rank, world = self._place(zoo, len(views))
            samplers.append(PairSampler(views, positives, batch_size, shuffle, self.seed, rank, world))
        return self._loader(sorted_parts, samplers, **labels)

    def _place(self, zoo: Zoo, objects: int) -> tuple[int, int]:
        rank, world = self.place()
        check_share(zoo, objects, world)
        return rank, world

    def _loader(self, parts: Parts, samplers: Sequence[BatchSampler], **labels: Any) -> DataLoader[WeightBatch]:
        size = 4e-9 * sum(len(rows) * zoo.spec.num_params for zoo, rows in parts)
        frames = labels.pop("frames", None)
        datasets = [
            ZooDataset(zoo, rows, size <= self.memory_gb, frames=None if frames is None else frames(rows), **labels)
            for zoo, rows in parts
        ]
        several = len(datasets) > 1
        sampler = MixedSampler(samplers) if several else samplers[0]
        options: dict[str, Any] = {
            "dataset": MixedDataset(datasets) if several else datasets[0],
            "batch_size": None,  # the sampler yields complete batches
            "sampler": sampler,
            "num_workers": self.num_workers,
            "collate_fn": _as_is,
            "worker_init_fn": quiet_hang_ups,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": self.pinned(),
        }
        return LateLoader(self.first_batch, **options) if sampler.shuffle else DataLoader(**options)


def views_of(zoo: Zoo, rows: Tensor) -> Tensor:
    """(O,) counts of the rows of each object."""
    return zoo.objects[rows].unique(return_counts=True)[1]


def check_views_of_pairs(parts: Parts, positives: str, n_views: int | None) -> None:
    """Raises ConfigError if a training object has no second view to make a pair with."""
    for zoo, rows in parts:
        if not views_of(zoo, rows).min() > 1:
            raise ConfigError(
                f"data.positives {positives!r} needs two views of every training object, and {zoo.path} (with "
                f"n_views {n_views}) has objects with one: fit it with views=2 or more, or take positives: augment"
            )


def check_share(zoo: Zoo, objects: int, processes: int) -> None:
    """Raises ConfigError if there are fewer objects of a zoo than processes, since each needs one."""
    if 0 < objects < processes:
        raise ConfigError(
            f"{processes} processes cannot share {objects} objects of {zoo.path}, since each needs one: take "
            "fewer processes (trainer.devices, trainer.num_nodes)"
        )


def _as_is(batch: Any) -> Any:
    return batch
