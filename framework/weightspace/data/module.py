"""The LightningDataModule of a zoo, or of several, which also augments the training batches."""

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
from weightspace.data.loaders import Loaders, check_share, check_views_of_pairs, views_of
from weightspace.data.mixable import check_tested
from weightspace.data.mixture import Networks, batch_of, numbered, opened, parts_of, single, zoos_of
from weightspace.data.numbering import Numbering
from weightspace.data.position import EpochPosition
from weightspace.data.rows import training_rows
from weightspace.data.sampling import POSITIVES
from weightspace.data.targets import Target
from weightspace.data.transfer import to_device
from weightspace.errors import ConfigError
from weightspace.runs.loops import callbacks_of
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.splits import evenly_spaced


class ZooDataModule(pl.LightningDataModule):
    """Training, validation, test and prediction batches of one zoo, or of several whose hidden layers differ in width.

    The splits are those of the zoo, or of a fold, and separate objects. Validation and test use the first view of each
    object, without augmentation.

    Args:
        zoo: folder of a zoo, or the zoo; or a list of these, whose networks differ in the widths of hidden layers
            alone. Each batch is of one of them.
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
        test_zoo: zoo, or list of zoos, whose test objects are tested and predicted instead of those of ``zoo``; their
            networks may be of hidden widths that no training network has.

    Raises:
        ConfigError: a value is out of range.
        ZooError: the folder is not a complete zoo.
        AugmentationError: an augmentation is unknown, has wrong parameters, or is not valid for the zoo's networks.
    """

    def __init__(
        self,
        zoo: str | Path | Zoo | Sequence[str | Path | Zoo],
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
        test_zoo: str | Path | Zoo | Sequence[str | Path | Zoo] | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = check_whole("data.batch_size", batch_size, low=1)
        self.eval_batch_size = check_whole("data.eval_batch_size", eval_batch_size, low=1)
        self.seed = seed = check_whole("data.seed", 0 if seed is None else seed, low=0)
        self.num_workers = check_whole("data.num_workers", num_workers, low=0)
        check_number("data.memory_gb", memory_gb, low=0, finite=False)
        self.zoo: Networks = opened(zoo)
        if folds is not None or fold is not None:
            self.zoo = folded(single(self.zoo, "data.folds", test_zoo), folds, fold)
            check_views(self.zoo, n_views)
        #: whose test objects are tested
        self.tested: Networks = self.zoo if test_zoo is None else opened(test_zoo)
        if test_zoo is not None:
            check_tested(zoos_of(self.zoo), zoos_of(self.tested))
        #: the split whose networks ``predict_dataloader`` loads
        self.predict_split = "test"
        self.serve(None)
        self.n_views, self.label_fraction, self.internal_test = n_views, label_fraction, internal_test
        self.positives, self.memory_gb = positives, memory_gb
        if positives is not None:
            check_choice("data.positives", positives, POSITIVES)
        self.chain = AugmentationChain(build_augmentations(augmentations or []), seed, paired=positives is not None)
        for own in zoos_of(self.zoo):
            self.chain.check(own.spec, target="class" if self.class_names else "value")
        used = self.chain.stored_alignment
        #: the stored alignment that the augmentations use
        self.alignment = self.zoo.alignment(used) if used else None
        every = zoos_of(self.zoo)
        found = [training_rows(own, n_views, label_fraction, internal_test, seed, every) for own in every]
        self._train, self._internal = (numbered(self.zoo, rows) for rows in zip(*found, strict=True))
        self._position = EpochPosition(self.zoo, self.alignment)
        self._loaders = Loaders(seed, num_workers, memory_gb, self._place, self._first_batch, self._on_gpu)
        if positives not in (None, "augment"):
            check_views_of_pairs(self._parts("train"), positives, n_views)

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
        """Architecture of the networks; of several zoos, that of the first."""
        return self.zoo.spec

    @property
    def architectures(self) -> dict[str, NetworkSpec]:
        """Architecture of each zoo, also of those that are only tested, by its path."""
        return {str(zoo.path): zoo.spec for zoo in (*zoos_of(self.zoo), *zoos_of(self.tested))}

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
        self._numbering = Numbering(own, target, str(self.zoo.path))
        #: kind and names of the targets in batches
        self.target = self._numbering.target

    def setup(self, stage: str) -> None:
        """Adds the augmentations to the trainer's callbacks, before the checkpoint callbacks that save their state."""
        if self.trainer is not None:
            callbacks = callbacks_of(self.trainer)
            callbacks[:] = with_augmentations(callbacks, self.chain.augmentations)

    def training_batch(self, limit: int = 10_000) -> WeightBatch:
        """Up to ``limit`` evenly spaced training networks without augmentation; of several zoos, of the first."""
        return self.training_batches(limit)[0]

    def training_batches(self, limit: int = 10_000) -> list[WeightBatch]:
        """Up to ``limit`` evenly spaced training networks of each zoo, without augmentation, for normalisers."""
        parts = [(zoo, rows[evenly_spaced(len(rows), limit)]) for zoo, rows in self._parts("train")]
        return [self._numbering.batch(zoo.batch(rows).replace(frame=self._frames(rows))) for zoo, rows in parts]

    def evaluation_batch(self, split: str, limit: int = 10_000) -> WeightBatch:
        """Up to ``limit`` networks of "val" or "test", the first view of each object; none if the zoo has none.

        Of several zoos, they are those of the first that has any, see ``evaluation_batches``.
        """
        return self.evaluation_batches(split, limit)[0]

    def evaluation_batches(self, split: str, limit: int = 10_000) -> list[WeightBatch]:
        """The same of each zoo that has any; if none has, an empty batch."""
        served = self.tested if split == "test" else self.zoo
        rows = served.rows(split, first_view_only=True)
        if not len(rows):
            return [self._numbering.batch(batch_of(served, rows))]
        parts = parts_of(served, rows)
        return [self._numbering.batch(zoo.batch(own[evenly_spaced(len(own), limit)])) for zoo, own in parts]

    def _frames(self, rows: Tensor) -> Tensor | None:
        """Stored elements of these rows, if the augmentations use them."""
        return None if self.alignment is None else self.alignment.frames(rows)

    def train_dataloader(self) -> DataLoader[WeightBatch]:
        """Shuffled batches of the training objects; pairs of batches if ``positives`` is set."""
        shuffle = not getattr(self.trainer, "overfit_batches", 0)  # overfitting uses the same few batches in all epochs
        loader = self._load(self.zoo, self._train, self.batch_size, shuffle, augmented=True)
        self._position.length = len(loader)
        return loader

    def val_dataloader(self) -> DataLoader[WeightBatch] | list[Any]:
        """Batches of the validation objects; an empty list if the zoo has none."""
        paired = self.positives is not None
        rows = self.zoo.rows("val", first_view_only=not paired)
        size = self.batch_size if paired else self.eval_batch_size
        return self._load(self.zoo, rows, size, augmented=paired) if len(rows) else []

    def test_dataloader(self) -> list[DataLoader[WeightBatch]]:
        """Batches of the test objects and, if ``internal_test`` is set, of the internal test.

        Raises:
            ConfigError: the zoo has no test objects.
        """
        rows = self.tested.rows("test", first_view_only=True)
        if not len(rows):
            raise ConfigError(f"{self.tested.path} has no test objects: fit it with some, for instance test=100")
        tests = [(self.tested, rows)] + ([(self.zoo, self._internal)] if len(self._internal) else [])
        return [self._load(zoo, r, self.eval_batch_size) for zoo, r in tests]

    def predict_dataloader(self) -> DataLoader[WeightBatch] | list[DataLoader[WeightBatch]]:
        """Batches of the networks of ``predict_split``: those used for training, or for evaluation in that split.

        Returns:
            A loader, or one for each zoo of ``predicted_parts`` if there are several.

        Raises:
            ConfigError: the split is empty.
        """
        loaders = [self._load(zoo, rows, self.eval_batch_size) for zoo, rows in self.predicted_parts()]
        return loaders if len(loaders) > 1 else loaders[0]

    def predicted_parts(self) -> list[tuple[Zoo, Tensor]]:
        """The zoos whose networks are predicted, with their rows.

        Raises:
            ConfigError: the split is empty.
        """
        check_choice("split", self.predict_split, SPLITS)
        used = {"train": self._train, "internal": self._internal}.get(self.predict_split)
        served = self.tested if self.predict_split == "test" else self.zoo
        rows = served.rows(self.predict_split, first_view_only=True) if used is None else used
        if not len(rows):
            hint = "set data.internal_test: true" if self.predict_split == "internal" else "fit it with some"
            raise ConfigError(f"{served.path} has no networks in the split {self.predict_split}: {hint}")
        return parts_of(served, rows)

    def numbered(self, targets: Tensor) -> Tensor:
        """Targets of a zoo, with classes numbered as set by ``serve``."""
        return self._numbering.targets(targets)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copies a batch to the accelerator."""
        moved = to_device(batch, device)
        return super().transfer_batch_to_device(batch, device, dataloader_idx) if moved is None else moved

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augments training batches, on the accelerator, and the pairs of validation, with a fixed seed."""
        trainer = self.trainer
        if trainer is None or not (trainer.training or isinstance(batch, tuple)):
            return batch
        epoch, rank = (trainer.current_epoch if trainer.training else 0), trainer.global_rank
        if isinstance(batch, tuple):
            return tuple(self.chain(part, epoch, rank, draw) for draw, part in enumerate(batch))
        return self.chain(batch, epoch, rank) if isinstance(batch, WeightBatch) else batch

    @property
    def remark(self) -> str | None:
        """What should be known of the validation before training; None: nothing."""
        rows = self.zoo.rows("val")
        objects = sum(len(views_of(zoo, own)) for zoo, own in self._parts("val"))
        if self.positives != "views" or not objects or objects < len(rows):
            return None
        return (
            f"the validation objects of {self.zoo.path} have one view each: val/loss, which chooses the best epoch, is "
            "of pairs of a network and itself. To validate on views, fit the zoo with --eval_views 2"
        )

    def check_processes(self, count: int) -> None:
        """Raises ConfigError if there are more processes than training or validation objects."""
        for split in ("train", "val"):
            for zoo, rows in self._parts(split):
                check_share(zoo, len(views_of(zoo, rows)), count)

    def count_objects(self, split: str) -> int:
        """Counts the objects used for training ("train"), or of another split; of several zoos, in that with fewest."""
        return min((len(views_of(zoo, rows)) for zoo, rows in self._parts(split)), default=0)

    def _parts(self, split: str) -> list[tuple[Zoo, Tensor]]:
        return parts_of(self.zoo, self._train if split == "train" else self.zoo.rows(split))

    def _place(self) -> tuple[int, int]:
        """Rank of this process and world size."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _load(
        self, networks: Networks, rows: Tensor, batch_size: int, shuffle: bool = False, augmented: bool = False
    ) -> DataLoader[WeightBatch]:
        parts = parts_of(networks, rows)
        labels: dict[str, Any] = {
            "numbers": self._numbering.numbers,
            "num_classes": None if self.class_names is None else len(self.class_names),
            "frames": self._frames if augmented else None,
        }
        if augmented and self.positives is not None:
            return self._loaders.pairs(parts, batch_size, shuffle, self.positives, **labels)
        return self._loaders.batches(parts, batch_size, shuffle, **labels)

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
