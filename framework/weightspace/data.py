"""Serves the networks of a zoo in batches, training batches through the augmentation chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from weightspace.augment import Augmentation, AugmentationChain, build_augmentations
from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo
from weightspace.zoo.splits import hold_out_view, label_subset, limit_views, spread

#: (number of the batch in its epoch, (B,) rows)
BatchIndex = tuple[int, Tensor]


class ZooDataset(Dataset[WeightBatch]):
    """Chosen rows of a zoo, in memory. An item is a whole batch: one gather, no per-network work."""

    def __init__(self, zoo: Zoo, rows: Tensor) -> None:
        batch = zoo.batch(rows)
        assert batch.objects is not None
        assert batch.views is not None
        self.spec, self.num_classes = batch.spec, batch.num_classes
        self.params, self.targets = batch.params, batch.targets
        self.identities = torch.stack([batch.objects, batch.views], dim=1)

    def __len__(self) -> int:
        return len(self.params)

    def __getitem__(self, index: BatchIndex) -> WeightBatch:
        """The batch of these rows."""
        number, rows = index
        objects, views = self.identities.index_select(0, rows).unbind(1)
        targets = None if self.targets is None else self.targets.index_select(0, rows)
        params = self.params.index_select(0, rows)
        return WeightBatch(params, self.spec, targets, objects, views, self.num_classes, number)


class BatchSampler(Sampler[BatchIndex]):
    """Yields a process's share of the rows in numbered batches; every batch knows its number.

    Args:
        length: number of rows.
        batch_size: rows per batch and process.
        shuffle: a new order each epoch, decided by (seed, epoch) alone.
        seed: of the order.
        rank, world: this process's number, and how many there are. When shuffling, all get the same number of rows.
    """

    def __init__(self, length: int, batch_size: int, shuffle: bool, seed: int, rank: int = 0, world: int = 1) -> None:
        self.length, self.batch_size, self.shuffle, self.seed = length, batch_size, shuffle, seed
        self.rank, self.world, self.epoch = rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._share() // self.batch_size)

    def __iter__(self) -> Iterator[BatchIndex]:
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.length, generator=generator)
        else:
            order = torch.arange(self.length)
        own = order[self.rank :: self.world][: self._share()]
        yield from enumerate(own.split(self.batch_size))

    def _share(self) -> int:
        if self.shuffle:
            return self.length // self.world
        return len(range(self.rank, self.length, self.world))


class ZooDataModule(pl.LightningDataModule):
    """Training, validation and test batches of one zoo.

    Splits are by object, as the zoo has them. Validation and test use each object's first view, and no augmentation.

    Args:
        zoo: folder of the zoo.
        batch_size: networks per training batch and process, >= 1.
        eval_batch_size: networks per validation, test and prediction batch.
        n_views: use only the first views of each training object; None: all.
        label_fraction: part of the training objects to use, in (0, 1], drawn class by class.
        internal_test: hold out the last view of every training object as a second test set (seen object, unseen view).
        draws: how often the chain is run on a training batch; 2 gives the pairs of contrastive training.
        augmentations: names, or {name: {parameter: value}}, in order.
        seed: of the order of batches, the augmentations and the label subset.
        num_workers: loader processes; 0 is fastest for zoos in memory.

    Raises:
        ConfigError: a value out of range.
        ZooError: the folder is not a whole zoo.
        AugmentationError: unknown, wrong parameters, or not valid for the zoo's networks.
    """

    def __init__(
        self,
        zoo: str,
        batch_size: int = 64,
        eval_batch_size: int = 512,
        n_views: int | None = None,
        label_fraction: float = 1.0,
        internal_test: bool = False,
        draws: int = 1,
        augmentations: list[str | dict[str, Any]] | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        counts = {"batch_size": batch_size, "eval_batch_size": eval_batch_size, "draws": draws}
        for name, value, least in [
            *((n, v, 1) for n, v in counts.items()),
            ("seed", seed, 0),
            ("num_workers", num_workers, 0),
        ]:
            if value < least:
                raise ConfigError(f"data.{name} must be at least {least}, found {value}")
        self.zoo = Zoo(zoo)
        self.batch_size, self.eval_batch_size, self.num_workers = batch_size, eval_batch_size, num_workers
        self.n_views, self.label_fraction, self.internal_test = n_views, label_fraction, internal_test
        self.draws, self.seed = draws, seed
        self.chain = AugmentationChain(build_augmentations(augmentations or []), seed)
        self.chain.check(self.spec, target="class" if self.class_names else "value")
        self._train, self._internal = self._training_rows()

    @property
    def spec(self) -> NetworkSpec:
        """Architecture of the networks."""
        return self.zoo.spec

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or None for a regression target."""
        return self.zoo.class_names

    def _training_rows(self) -> tuple[Tensor, Tensor]:
        rows = self.zoo.rows("train")
        internal = self.zoo.rows("internal")
        if not len(rows):
            raise ConfigError(f"{self.zoo.path} has no training networks")
        if self.internal_test and not len(internal):
            held = hold_out_view(self.zoo.views[rows])
            rows, internal = rows[~held], rows[held]
        rows = rows[limit_views(self.zoo.views[rows], self.n_views)]
        if self.label_fraction != 1:
            if self.class_names is None:
                raise ConfigError("data.label_fraction needs a zoo with classes; this one has a regression target")
            kept = label_subset(self.zoo.objects[rows], self.zoo.targets[rows], self.label_fraction, self.seed)
            rows = rows[kept]
        # an internal test is of seen objects: not of those whose labels, or other views, are not used
        seen = torch.isin(self.zoo.objects[internal], self.zoo.objects[rows])
        return rows, internal[seen] if self.internal_test else internal[:0]

    def setup(self, stage: str) -> None:
        """Puts the augmentations among the trainer's callbacks, before the checkpoints that save their state."""
        if self.trainer is not None:
            callbacks: list[Callback] = cast(Any, self.trainer).callbacks
            others = [c for c in callbacks if not isinstance(c, Augmentation)]
            plain = [c for c in others if not isinstance(c, Checkpoint)]
            checkpoints = [c for c in others if isinstance(c, Checkpoint)]
            callbacks[:] = [*self.chain.augmentations, *plain, *checkpoints]

    def training_batch(self, limit: int = 10_000) -> WeightBatch:
        """Up to ``limit`` training networks, evenly spread, not augmented: for normalisers and pictures."""
        return self.zoo.batch(self._train[spread(len(self._train), limit)])

    def train_dataloader(self) -> DataLoader[WeightBatch]:
        """Shuffled batches of the training objects."""
        return self._loader(self._train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[WeightBatch] | list[Any]:
        """The validation objects; no loader if the zoo has none."""
        rows = self.zoo.rows("val", first_view_only=True)
        return self._loader(rows, self.eval_batch_size) if len(rows) else []

    def test_dataloader(self) -> list[DataLoader[WeightBatch]]:
        """The test objects, and the internal test if it was asked for.

        Raises:
            ConfigError: the zoo has no test objects.
        """
        rows = self.zoo.rows("test", first_view_only=True)
        if not len(rows):
            raise ConfigError(f"{self.zoo.path} has no test objects: fit it with --test N")
        tests = [rows] + ([self._internal] if len(self._internal) else [])
        return [self._loader(r, self.eval_batch_size) for r in tests]

    def predict_dataloader(self) -> DataLoader[WeightBatch]:
        """The test objects."""
        return self.test_dataloader()[0]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Runs the chain on training batches, on the accelerator: a batch, or a tuple of ``draws`` batches."""
        trainer = self.trainer
        if trainer is None or not trainer.training or not isinstance(batch, WeightBatch):
            return batch
        epoch, rank = trainer.current_epoch, trainer.global_rank
        drawn = tuple(self.chain(batch, epoch, rank, draw) for draw in range(self.draws))
        return drawn if self.draws > 1 else drawn[0]

    def _loader(self, rows: Tensor, batch_size: int, shuffle: bool = False) -> DataLoader[WeightBatch]:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if len(rows) < world:
            raise ConfigError(f"{len(rows)} networks of {self.zoo.path} cannot be shared by {world} processes")
        sampler = BatchSampler(len(rows), batch_size, shuffle, self.seed, rank, world)
        return DataLoader(
            ZooDataset(self.zoo, rows),
            batch_size=None,  # the sampler yields whole batches
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=_as_is,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


def _as_is(batch: Any) -> Any:
    return batch
