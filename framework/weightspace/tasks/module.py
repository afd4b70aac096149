"""A LightningModule that is built for a zoo, and again from its checkpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self, cast

import lightning.pytorch as pl

from weightspace.backbones.base import Backbone, check_initialised
from weightspace.data import ZooDataModule
from weightspace.data.targets import Target
from weightspace.errors import ConfigError, SpecError
from weightspace.runs.checkpoint_io import guard
from weightspace.runs.loops import building, forget_metrics, has_trainer, reads_checkpoint_late
from weightspace.spec import NetworkSpec
from weightspace.tasks.description import KEY, Saved, describe, given_arguments, load_weights
from weightspace.tasks.learned import check_classes, check_learnable


class ZooModule(pl.LightningModule, ABC):
    """The part of a ``Task`` that knows its data: when it is built, which classes it has learned, how it is restored.

    Checkpoints hold the names that a head has learned, and wherever the model meets other data (test, validation,
    prediction, going on), classes are compared by their names: the data module serves the model's numbers, and classes
    that the model does not know are refused.
    """

    head: ClassVar[Literal["class", "value"] | None] = None
    pairs: ClassVar[bool] = False

    backbone: Backbone
    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keeps the arguments, so that a checkpoint can say what it is of."""
        self = super().__new__(cls)
        if args or kwargs:  # a copy is made without
            object.__setattr__(self, "_arguments", given_arguments(cls.__init__, self, *args, **kwargs))
        return self

    def __init__(self) -> None:
        super().__init__()
        #: what the head has learned, once it is built
        self.learned: Target | None = None
        #: architecture of the networks that it was built for
        self.built_for: NetworkSpec | None = None
        self._made = False
        #: whether it is in evaluation mode since it was loaded, which a trainer would leave it in
        self._restored = False

    @abstractmethod
    def build(self, spec: NetworkSpec) -> None:
        """Makes the modules for networks of this architecture."""

    @abstractmethod
    def prepare(self, data: ZooDataModule) -> None:
        """Sets what the modules know of the training networks."""

    @abstractmethod
    def build_metrics(self) -> None:
        """Makes what counts: for a model that has just been built."""

    def setup(self, stage: str) -> None:
        """Has the trainer, which may be that of a script, unpickle no checkpoint."""
        guard(self.trainer)

    @property
    def data(self) -> ZooDataModule:
        """The data module.

        Raises:
            ConfigError: there is none, or another.
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
        """Whether the trainer has a data module of ours, not loaders alone."""
        return isinstance(cast(Any, self.trainer).datamodule, ZooDataModule)

    @property
    def out_dim(self) -> int:
        """Length of the backbone's result: how many classes or numbers the head has learned."""
        return 0 if self.learned is None else len(self.learned.names)

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes that the head has learned, in the order of its logits; None: it has learned none."""
        return list(self.learned.names) if self.learned is not None and self.learned.kind == "class" else None

    def configure_model(self) -> None:
        """Builds the modules for the zoo of the trainer's data module, once it is known.

        Raises:
            ConfigError: the data is not a ZooDataModule, or the task cannot learn from it.
        """
        if self._restored and self.trainer.state.fn == "fit":
            self.train()
            self._restored = False
        if self._made and not self._has_data:
            return
        data = self.data
        data.serve(self.learned)
        if not self._made:
            self.check(data, self.trainer)
            self._make(data)

    def build_for(self, data: ZooDataModule) -> Self:
        """Builds the task for the networks of a data module now, and returns it.

        A trainer can then have loaders of one's own, of ``WeightBatch``es with the zoo's numbers of the classes; for
        instance ``DataLoader(range(len(split)), collate_fn=split.__getitem__)`` with ``split = zoo["train"]``.

        Args:
            data: its training networks set the normaliser.

        Raises:
            ConfigError: the task cannot learn from such data.
        """
        if not self._made:
            check_learnable(data, type(self).__name__, self.head, self.pairs)
            self._make(data)
        return self

    def _make(self, data: ZooDataModule) -> None:
        self.make_modules(data.spec, data.target)
        self.prepare(data)

    def make_modules(self, spec: NetworkSpec, target: Target | None) -> None:
        """Builds modules and metrics for an architecture and a target, without any data."""
        self.learned, self.built_for = target if self.head is not None else None, spec
        self.build(spec)
        check_initialised(self, type(self).__name__)
        self.build_metrics()
        self._made = True

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the task cannot learn from the data: before anything is built or written."""
        data.check_processes(trainer.world_size)
        check_learnable(data, type(self).__name__, self.head, self.pairs)

    def check_target(self, data: ZooDataModule) -> None:
        """Raises ConfigError where the target that the data serves is nothing to learn, or to be measured by.

        Asked once it is known whether a checkpoint brings the target that its model has learned.
        """
        if self.head == "class":
            check_classes(data, type(self).__name__)

    def _check_served(self) -> None:
        if self._has_data:
            self.check_target(self.data)

    # all of them come after the checkpoint has been read
    on_fit_start = on_validation_start = on_test_start = on_predict_start = _check_served

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: Any, map_location: Any = None, *, strict: bool = True, **arguments: Any
    ) -> Self:
        """The task that a checkpoint is of, in evaluation mode, built without its zoo; nothing is unpickled.

        Args:
            checkpoint_path: a file that any trainer has written, or its address.
            map_location: device of the task; None: the CPU.
            strict: whether the weights must be those that the task has, by name.
            arguments: of the task, in the place of those that were saved; ``weights_only`` is always true.

        Raises:
            ConfigError: the checkpoint is missing, cut, altered, of another task or of something else, would have to
                be unpickled, or needs an argument that no file can hold.
        """
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
        """Keeps what the task is, and what its head has learned: kind and names."""
        checkpoint[KEY] = describe(self, self._arguments, getattr(self, "encoder", None), self.built_for)
        if self.learned is not None:
            checkpoint["target"] = self.learned.to_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Has the data's classes numbered as the checkpoint's model has learned them; those without names are trusted.

        Raises:
            ConfigError: the data has classes that it does not know.
        """
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
        """Builds the modules for as many classes as the checkpoint has, which is read after they were built."""
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
        """What a run leaves as a file of its own: the backbone, with its head; None: nothing that could be one."""
        backbone = getattr(self, "backbone", None)
        return backbone if isinstance(backbone, Backbone) else None

    @property
    def artefact_target(self) -> dict[str, Any] | None:
        """What that file says of its result: kind and names of the target."""
        return None if self.learned is None else self.learned.to_json()

    @property
    def encoder(self) -> Backbone:
        """The network that the argument ``backbone`` has made; of a fine-tuned classifier, without the classifier."""
        return self.backbone
