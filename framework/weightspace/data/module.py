"""The LightningDataModule of a zoo, which also augments the training batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from weightspace.augment import Augmentation, AugmentationChain, build_augmentations
from weightspace.augment.registry import Entry
from weightspace.augment.states import with_augmentations
from weightspace.batch import WeightBatch
from weightspace.checks import check_choice, check_number, check_whole
from weightspace.data.folds import check_views, folded
from weightspace.data.loading import LateLoader, quiet_hang_ups
from weightspace.data.position import EpochPosition
from weightspace.data.rows import training_rows
from weightspace.data.sampling import POSITIVES, BatchSampler, PairSampler, ZooDataset
from weightspace.data.targets import Target, numbering
from weightspace.errors import ConfigError
from weightspace.runs.loops import callbacks_of
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.splits import evenly_spaced


class ZooDataModule(pl.LightningDataModule):
    """Training, validation, test and prediction batches of one zoo.

    The splits are those of the zoo, or of a fold, and separate objects. Validation and test use the first view of each
    object, without augmentation.

    Args:
        zoo: folder of a zoo, or the zoo.
        batch_size: networks per training batch and process, >= 1.
        eval_batch_size: networks per validation, test and prediction batch.
        n_views: use only the first views of each training object; None: all.
        label_fraction: part of the training objects to use, in (0, 1], drawn class by class.
        internal_test: hold out the last view of every training object as a second test set (seen object, unseen view).
        positives: None, or the kind of positive pairs for contrastive training: "augment" (a network and itself),
            "views" (two neural views of an object), "both" (either, at random). The two networks of a pair are
            augmented independently. An epoch then visits every object once, and validation batches are pairs, too.
        augmentations: names, {name: {parameter: value}}, or instances, in order.
        seed: seed of the order of batches, the augmentations and the label subset, >= 0. None: the seed of the run
            (``seed_everything``) on the command line, 0 in Python.
        num_workers: loader processes; 0 is fastest for zoos in memory.
        memory_gb: largest size in gigabytes up to which the parameters of a split are copied to memory, >= 0; larger
            splits are read batch by batch from the zoo's files.
        folds, fold: instead of the zoo's own splits, those of cross-validation: number of folds, >= 2, and which of
            them is tested, from 0. Folds are the same for every seed; see ``folded``.

    Raises:
        ConfigError: a value is out of range.
        ZooError: the folder is not a complete zoo.
        AugmentationError: an augmentation is unknown, has wrong parameters, or is not valid for the zoo's networks.
    """

    def __init__(
        self,
        zoo: str | Path | Zoo,
        batch_size: int = 64,
        eval_batch_size: int = 512,
        n_views: int | None = None,
        label_fraction: float = 1.0,
        internal_test: bool = False,
        positives: str | None = None,
        augmentations: Sequence[Entry | Augmentation] | None = None,
        seed: int | None = None,
        num_workers: int = 0,
        memory_gb: float = 4.0,
        folds: int | None = None,
        fold: int | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = check_whole("data.batch_size", batch_size, low=1)
        self.eval_batch_size = check_whole("data.eval_batch_size", eval_batch_size, low=1)
        self.seed = seed = check_whole("data.seed", 0 if seed is None else seed, low=0)
        self.num_workers = check_whole("data.num_workers", num_workers, low=0)
        check_number("data.memory_gb", memory_gb, low=0, finite=False)
        self.zoo = folded(zoo if isinstance(zoo, Zoo) else Zoo(zoo), folds, fold)
        if folds is not None:
            check_views(self.zoo, n_views)
        #: the split whose networks ``predict_dataloader`` loads
        self.predict_split = "test"
        self.serve(None)
        self.n_views, self.label_fraction, self.internal_test = n_views, label_fraction, internal_test
        self.positives, self.memory_gb = positives, memory_gb
        if positives is not None:
            check_choice("data.positives", positives, POSITIVES)
        self.chain = AugmentationChain(build_augmentations(augmentations or []), seed, paired=positives is not None)
        self.chain.check(self.spec, target="class" if self.class_names else "value")
        used = self.chain.stored_alignment
        #: the stored alignment that the augmentations use
        self.alignment = self.zoo.alignment(used) if used else None
        self._train, self._internal = training_rows(self.zoo, n_views, label_fraction, internal_test, seed)
        self._position = EpochPosition(self.zoo, self.alignment)
        if positives not in (None, "augment") and not self._views(self._train).min() > 1:
            raise ConfigError(
                f"data.positives {positives!r} needs two views of every training object, and {self.zoo.path} (with "
                f"n_views {n_views}) has objects with one: fit it with views=2 or more, or take positives: augment"
            )

    def __repr__(self) -> str:
        pairs = "" if self.positives is None else f" of pairs ({self.positives})"
        used = ", ".join(map(repr, self.chain.augmentations)) or "none"
        return (
            f"{type(self).__name__} of {self.zoo.path}: {len(self._train):,} training networks {self.spec}\n"
            f"  batches{pairs}: {self.batch_size}, seed {self.seed}\n  augmentations: {used}"
        )

    def __str__(self) -> str:
        return repr(self)  # Lightning's own would read all networks

    @property
    def spec(self) -> NetworkSpec:
        """Architecture of the networks."""
        return self.zoo.spec

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes in the order of their numbers in batches, or None for a regression target."""
        return list(self.target.names) if self.target.kind == "class" else None

    def serve(self, target: Target | None) -> None:
        """Sets the class numbers in all further batches to those of a trained model; None: to those of the zoo.

        Raises:
            ConfigError: the zoo has classes that the model does not know, or another regression target.
        """
        own = Target.from_json(self.zoo.header.target)
        numbers = None if target is None else numbering(target, own, str(self.zoo.path))
        #: kind and names of the targets in batches
        self.target = target or own
        self._numbers = None if numbers is None else torch.tensor(numbers)

    def setup(self, stage: str) -> None:
        """Adds the augmentations to the trainer's callbacks, before the checkpoint callbacks that save their state."""
        if self.trainer is not None:
            callbacks = callbacks_of(self.trainer)
            callbacks[:] = with_augmentations(callbacks, self.chain.augmentations)

    def training_batch(self, limit: int = 10_000) -> WeightBatch:
        """Up to ``limit`` evenly spaced training networks without augmentation, for normalisers and pictures."""
        rows = self._train[evenly_spaced(len(self._train), limit)]
        return self._numbered(self.zoo.batch(rows).replace(frame=self._frames(rows)))

    def evaluation_batch(self, split: str, limit: int = 10_000) -> WeightBatch:
        """Up to ``limit`` networks of "val" or "test", the first view of each object; none if the zoo has none."""
        rows = self.zoo.rows(split, first_view_only=True)
        return self._numbered(self.zoo.batch(rows[evenly_spaced(len(rows), limit)] if len(rows) else rows))

    def _frames(self, rows: Tensor) -> Tensor | None:
        """Stored elements of these rows, if the augmentations use them."""
        return None if self.alignment is None else self.alignment.frames(rows)

    def _numbered(self, batch: WeightBatch) -> WeightBatch:
        """Converts the class numbers of a batch of the zoo to the numbering set by ``serve``."""
        if self._numbers is None:
            return batch
        assert batch.targets is not None
        return batch.replace(targets=self._numbers[batch.targets], num_classes=len(self.target.names))

    def train_dataloader(self) -> DataLoader[WeightBatch]:
        """Shuffled batches of the training objects; pairs of batches if ``positives`` is set."""
        shuffle = not getattr(self.trainer, "overfit_batches", 0)  # overfitting uses the same few batches in all epochs
        if self.positives is None:
            loader = self._load(self._train, self._sampler(self._train, self.batch_size, shuffle), augmented=True)
        else:
            loader = self._pair_loader(self._train, shuffle)
        self._position.length = len(loader)
        return loader

    def val_dataloader(self) -> DataLoader[WeightBatch] | list[Any]:
        """Batches of the validation objects; an empty list if the zoo has none."""
        if self.positives is not None and len(self.zoo.rows("val")):
            return self._pair_loader(self.zoo.rows("val"), shuffle=False)
        rows = self.zoo.rows("val", first_view_only=True)
        return self._loader(rows, self.eval_batch_size) if len(rows) else []

    def test_dataloader(self) -> list[DataLoader[WeightBatch]]:
        """Batches of the test objects and, if ``internal_test`` is set, of the internal test.

        Raises:
            ConfigError: the zoo has no test objects.
        """
        rows = self.zoo.rows("test", first_view_only=True)
        if not len(rows):
            raise ConfigError(f"{self.zoo.path} has no test objects: fit it with some, for instance test=100")
        tests = [rows] + ([self._internal] if len(self._internal) else [])
        return [self._loader(r, self.eval_batch_size) for r in tests]

    def predict_dataloader(self) -> DataLoader[WeightBatch]:
        """Batches of the networks of ``predict_split``: those used for training, or for evaluation in that split.

        Raises:
            ConfigError: the split is empty.
        """
        check_choice("split", self.predict_split, SPLITS)
        used = {"train": self._train, "internal": self._internal}.get(self.predict_split)
        rows = self.zoo.rows(self.predict_split, first_view_only=True) if used is None else used
        if not len(rows):
            hint = "set data.internal_test: true" if self.predict_split == "internal" else "fit it with some"
            raise ConfigError(f"{self.zoo.path} has no networks in the split {self.predict_split}: {hint}")
        return self._loader(rows, self.eval_batch_size)

    def targets_of(self, rows: Tensor) -> Tensor:
        """Targets of these rows of the zoo, with classes numbered as set by ``serve``."""
        targets = self.zoo.targets[rows]
        return targets if self._numbers is None else self._numbers[targets]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copies a batch to the accelerator; from page-locked memory, without waiting for the copy.

        Pairs are a tuple: torch's DataLoader makes a list of a tuple when it copies it to page-locked memory.
        """
        if isinstance(batch, (tuple, list)) and all(isinstance(part, WeightBatch) for part in batch):
            return tuple(self.transfer_batch_to_device(part, device, dataloader_idx) for part in batch)
        if not isinstance(batch, WeightBatch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return batch.to(device, non_blocking=device.type == "cuda" and batch.params.is_pinned())

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augments training batches, on the accelerator, and the pairs of validation, with a fixed seed."""
        trainer = self.trainer
        if trainer is None or not (trainer.training or isinstance(batch, tuple)):
            return batch
        epoch, rank = (trainer.current_epoch if trainer.training else 0), trainer.global_rank
        if isinstance(batch, tuple):
            return tuple(self.chain(part, epoch, rank, draw) for draw, part in enumerate(batch))
        return self.chain(batch, epoch, rank) if isinstance(batch, WeightBatch) else batch

    def _views(self, rows: Tensor) -> Tensor:
        """Counts the rows of each object."""
        return self.zoo.objects[rows].unique(return_counts=True)[1]

    def _loader(self, rows: Tensor, batch_size: int) -> DataLoader[WeightBatch]:
        return self._load(rows, self._sampler(rows, batch_size, shuffle=False), augmented=False)

    def _sampler(self, rows: Tensor, batch_size: int, shuffle: bool) -> BatchSampler:
        return BatchSampler(len(rows), batch_size, shuffle, self.seed, *self._place(len(rows)))

    def _pair_loader(self, rows: Tensor, shuffle: bool) -> DataLoader[WeightBatch]:
        rows = rows[self.zoo.objects[rows].argsort(stable=True)]  # the views of an object side by side
        views = self._views(rows)
        assert self.positives is not None
        place = self._place(len(views))
        sampler = PairSampler(views, self.positives, self.batch_size, shuffle, self.seed, *place)
        return self._load(rows, sampler, augmented=True)

    def check_processes(self, count: int) -> None:
        """Raises ConfigError if there are more processes than training or validation objects."""
        for split in ("train", "val"):
            self._check_share(self.count_objects(split), count)

    def count_objects(self, split: str) -> int:
        """Counts the objects used for training ("train"), or those of another split."""
        rows = self._train if split == "train" else self.zoo.rows(split)
        return len(self.zoo.objects[rows].unique())

    def _check_share(self, objects: int, processes: int) -> None:
        if 0 < objects < processes:
            raise ConfigError(
                f"{processes} processes cannot share {objects} objects of {self.zoo.path}, since each needs one: take "
                "fewer processes (trainer.devices, trainer.num_nodes)"
            )

    def _place(self, objects: int) -> tuple[int, int]:
        """Rank of this process and world size, after checking that every process gets an object."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        self._check_share(objects, world)
        return rank, world

    def _load(self, rows: Tensor, sampler: BatchSampler, augmented: bool) -> DataLoader[WeightBatch]:
        options: dict[str, Any] = {
            "dataset": ZooDataset(
                self.zoo,
                rows,
                4e-9 * len(rows) * self.spec.num_params <= self.memory_gb,
                self._numbers,
                None if self.class_names is None else len(self.class_names),
                self._frames(rows) if augmented else None,
            ),
            "batch_size": None,  # the sampler yields complete batches
            "sampler": sampler,
            "num_workers": self.num_workers,
            "collate_fn": _as_is,
            "worker_init_fn": quiet_hang_ups,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": self._on_gpu(),
        }
        return LateLoader(self._first_batch, **options) if sampler.shuffle else DataLoader(**options)

    def _on_gpu(self) -> bool:
        """Whether batches go to a GPU: a trainer on the CPU of a machine that has one leaves it alone."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _first_batch(self) -> int:
        return self._position.first_batch(self.trainer)

    def state_dict(self) -> dict[str, Any]:
        """Returns what a position in an epoch and a fair test depend on, see ``EpochPosition``."""
        return self._position.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Reads the same from a checkpoint, for comparison with this run."""
        self._position.load_state_dict(state_dict)


def _as_is(batch: Any) -> Any:
    return batch
