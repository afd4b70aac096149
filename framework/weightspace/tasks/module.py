"""A LightningModule that is built for the networks of a zoo and can be restored from checkpoints without it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self, cast

import lightning.pytorch as pl
import torch

from weightspace.backbones.base import Backbone
from weightspace.backbones.initialised import check_initialised
from weightspace.checks import check_path
from weightspace.data import ZooDataModule
from weightspace.data.mixture import Networks
from weightspace.data.seen import check_unseen, trained_also, trained_on
from weightspace.data.targets import Target
from weightspace.errors import ConfigError, SpecError
from weightspace.runs.checkpoint_io import guard
from weightspace.runs.loops import building, forget_metrics, has_trainer, reads_checkpoint_late
from weightspace.spec import NetworkSpec
from weightspace.tasks.description import KEY, Saved, describe, given_arguments, load_weights
from weightspace.tasks.learned import check_classes, check_learnable
from weightspace.tasks.widths import check_widths


class ZooModule(pl.LightningModule, ABC):
    """The part of a ``Task`` that handles its data: building the modules, numbering classes, and checkpoints.

    Checkpoints contain the names of the classes that a head has learned. Whenever a model is used with data (test,
    validation, prediction, resuming), classes are matched by name: the data module uses the model's numbers, and
    classes that the model does not know raise an error.
    """

    head: ClassVar[Literal["class", "value"] | None] = None
    pairs: bool = False

    backbone: Backbone
    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keeps the arguments for the description in checkpoints."""
        self = super().__new__(cls)
        if args or kwargs:  # a copy is made without
            object.__setattr__(self, "_arguments", given_arguments(cls.__init__, self, *args, **kwargs))
        return self

    def __init__(self) -> None:
        super().__init__()
        #: target of the head, once it is built
        self.learned: Target | None = None
        #: architecture of the networks for which it was built
        self.built_for: NetworkSpec | None = None
        #: the zoos of its fits with their splits, as JSON data, see ``weightspace.data.seen``; None: none that is known
        self.trained_on: dict[str, Any] | None = None
        self._made = False
        #: whether loading has set evaluation mode, in which a trainer would leave it
        self._restored = False

    @abstractmethod
    def build(self, spec: NetworkSpec) -> None:
        """Builds the modules for networks of this architecture."""

    @abstractmethod
    def prepare(self, data: ZooDataModule) -> None:
        """Sets statistics of the training networks in the modules."""

    @abstractmethod
    def build_metrics(self) -> None:
        """Builds the metrics of a model that has just been built."""

    def setup(self, stage: str) -> None:
        """Ensures that the trainer, also a plain one, never unpickles a checkpoint."""
        guard(self.trainer)

    def __repr__(self) -> str:
        if self._made:
            return super().__repr__()
        return f"{type(self).__name__} (no modules yet: they are built for the zoo that it is trained on)"

    @property
    def data(self) -> ZooDataModule:
        """The data module of the trainer.

        Raises:
            ConfigError: there is none, or it is not a ZooDataModule.
        """
        if not self._has_data:
            name = type(self).__name__
            raise ConfigError(
                f"{name} needs a ZooDataModule: it takes the architecture from the zoo. For loaders of your own, build "
                "it before: task.build_for(ZooDataModule(...))"
            )
        return cast(ZooDataModule, cast(Any, self.trainer).datamodule)

    @property
    def _has_data(self) -> bool:
        """Whether the trainer has a ZooDataModule, not only loaders."""
        return isinstance(cast(Any, self.trainer).datamodule, ZooDataModule)

    @property
    def out_dim(self) -> int:
        """Length of the backbone's result: the number of classes or values of the head."""
        return 0 if self.learned is None else len(self.learned.names)

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes of the head in the order of its logits; None if it has no classes."""
        return list(self.learned.names) if self.learned is not None and self.learned.kind == "class" else None

    def configure_model(self) -> None:
        """Builds the modules for the zoo of the trainer's data module.

        Raises:
            ConfigError: the data is not a ZooDataModule, or the task cannot learn from it.
        """
        if self._restored and self.trainer.state.fn == "fit":
            self.train()
            self._restored = False
        if self._made and not self._has_data:
            return
        data = self.data
        # Lightning makes the accelerator the default device here, and moves the model there afterwards. On the CPU, a
        # seed draws the same weights for every accelerator, and what is read from the zoo has its index beside it.
        with torch.device("cpu"):
            data.serve(self.learned)
            if not self._made:
                self.check(data, self.trainer)
                self._make(data)

    def build_for(self, data: ZooDataModule) -> Self:
        """Builds the modules for the networks of a data module, before there is a trainer, and returns the task.

        A trainer can then use your own loaders of ``WeightBatch``es with the class numbers of the zoo, for instance
        ``DataLoader(range(len(split)), collate_fn=split.__getitem__)`` with ``split = zoo["train"]``.

        Args:
            data: the data module, whose training networks set the normaliser.

        Raises:
            ConfigError: ``data`` is not a data module, or the task cannot learn from it.
        """
        if not isinstance(data, ZooDataModule):
            raise ConfigError(f"build_for needs a data module, ZooDataModule(zoo), found {type(data).__name__}")
        if not self._made:
            check_learnable(data, type(self).__name__, self.head, self.pairs)
            with torch.device("cpu"):
                self._make(data)
        return self

    def _make(self, data: ZooDataModule) -> None:
        self.make_modules(data.spec, data.target)
        try:
            check_widths(self, data)
            self.prepare(data)
        except BaseException:
            self._made = False  # so that another fit prepares it
            raise

    def make_modules(self, spec: NetworkSpec, target: Target | None) -> None:
        """Builds modules and metrics for an architecture and a target, without any data."""
        self.learned, self.built_for = target if self.head is not None else None, spec
        self.build(spec)
        check_initialised(self, type(self).__name__)
        self.build_metrics()
        self._made = True

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if the task cannot learn from the data, before anything is built or written."""
        data.check_processes(trainer.world_size)
        check_learnable(data, type(self).__name__, self.head, self.pairs)

    def check_target(self, data: ZooDataModule) -> None:
        """Raises ConfigError if the target of the data cannot be learned or evaluated.

        Called once it is known whether a checkpoint determines the target.
        """
        if self.head == "class":
            check_classes(data, type(self).__name__)

    # the following run after the checkpoint has been read

    def on_fit_start(self) -> None:
        """Checks the data, and notes that the task is trained on it."""
        self._check_served()
        if self._has_data:
            self._check_unseen(self.data.zoo, self.data.tested)
            self.trained_on = trained_also(self.trained_on, trained_on(self.data.zoo))

    def on_validation_start(self) -> None:
        """Checks the data."""
        self._check_served()

    def on_test_start(self) -> None:
        """Checks the data, also that no tested object was trained on in another fold."""
        self._check_served()
        if self._has_data:
            self._check_unseen(self.data.tested)

    def on_predict_start(self) -> None:
        """Checks the data, as for a test if test objects are predicted."""
        self._check_served()
        if self._has_data and self.data.predict_split == "test":
            self._check_unseen(self.data.tested)

    def _check_served(self) -> None:
        if self._has_data:
            self.check_target(self.data)

    def _check_unseen(self, *tested: Networks) -> None:
        for networks in tested:
            check_unseen(networks, self.trained_on, f"this {type(self).__name__}")

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: Any, map_location: Any = None, *, strict: bool = True, **arguments: Any
    ) -> Self:
        """Loads the task of a checkpoint in evaluation mode, without its zoo and without unpickling.

        Args:
            checkpoint_path: file or address of a checkpoint, which any trainer may have written.
            map_location: device of the task; None: the CPU.
            strict: whether the names of the weights must be exactly those of the task.
            arguments: arguments of the task that replace saved ones; ``weights_only`` is always true.

        Raises:
            ConfigError: the checkpoint is missing, truncated, altered, of another task or no checkpoint, would have to
                be unpickled, or needs an argument that cannot be saved.
        """
        check_path("checkpoint_path", checkpoint_path)
        arguments.pop("weights_only", None)
        device = map_location or "cpu"
        saved = Saved.read(cls, checkpoint_path, device, arguments)
        try:
            task = saved.cls(**saved.arguments)
            task.make_modules(saved.spec, saved.target)
            task.on_load_checkpoint(saved.checkpoint)
            load_weights(task, saved.checkpoint["state_dict"], strict)
        except (TypeError, RuntimeError, SpecError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"{checkpoint_path} cannot be loaded as {saved.cls.__name__}: {reason}") from error
        task._restored = True
        return cast(Self, task.to(device).eval())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the description of the task, and kind and names of its target, to a checkpoint."""
        checkpoint[KEY] = describe(self, self._arguments, getattr(self, "encoder", None), self.built_for)
        if self.learned is not None:
            checkpoint["target"] = self.learned.to_json()
        if self.trained_on is not None:
            checkpoint["trained_on"] = self.trained_on

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Numbers the classes of the data as in the checkpoint; checkpoints without names are trusted.

        Raises:
            ConfigError: the data has classes that the checkpoint does not know.
        """
        self.trained_on = checkpoint.get("trained_on")
        if self.head is None or "target" not in checkpoint:
            return
        saved, built = Target.from_json(checkpoint["target"]), self.learned
        if saved == built or not has_trainer(self):
            return
        if not self._has_data:
            raise ConfigError(f"the checkpoint has learned {saved}, and the task was built for {built}")
        data = self.data
        data.serve(saved)
        self.learned = saved
        if built is None or len(saved.names) != len(built.names):
            self._make_again(data)

    def _make_again(self, data: ZooDataModule) -> None:
        """Builds the modules again for the number of classes in the checkpoint, which is read after the first build."""
        if reads_checkpoint_late(self.trainer):
            raise ConfigError(
                f"the checkpoint has learned {self.learned}, and {data.zoo.path} has not all of them: with "
                f"{type(self.trainer.strategy).__name__}, which shards the model before it reads a checkpoint, it must"
            )
        forget_metrics(self)
        with building(self.trainer):
            self._make(data)

    @property
    def artefact(self) -> Backbone | None:
        """The backbone that a run writes to a file, with its head; None if there is nothing to write."""
        backbone = getattr(self, "backbone", None)
        return backbone if isinstance(backbone, Backbone) else None

    @property
    def artefact_target(self) -> dict[str, Any] | None:
        """Kind and names of the target, for the description in that file."""
        return None if self.learned is None else self.learned.to_json()

    @property
    def encoder(self) -> Backbone:
        """The network built from the argument ``backbone``; for fine-tuning, without the classifier."""
        return self.backbone
