"""Settling the mode of a run in all its processes, and compiling."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import lightning.pytorch as pl

from weightspace.backbones.base import Backbone
from weightspace.backbones.compiling import check_compiler, run_eagerly
from weightspace.data.mixed_batches import MixedDataset
from weightspace.data.sampling import BatchSampler
from weightspace.distributed import in_any_process
from weightspace.errors import ConfigError
from weightspace.runs.loops import is_trial, reads_checkpoint_late, training_loader
from weightspace.runs.stopping import end_together
from weightspace.tasks.mode import Compile, Mode, decide, resumed, step_work


def settle(
    trainer: pl.Trainer, backbone: Backbone, asked: Compile, began: str | None, per_pass: Callable[[int], int]
) -> Mode:
    """Chooses how a fit trains, in all its processes together, and compiles the backbone if that is chosen.

    Args:
        trainer: trainer at the start of a fit.
        backbone: of the task, on its device.
        asked: the argument ``compile``.
        began: mode in which the run that is resumed began; None: the run is new.
        per_pass: networks that go through the backbone together, from the size of a batch.

    Raises:
        ConfigError: compiling was asked for, or the run began compiled, and it cannot be compiled here.
    """
    size = whole_batch(trainer)
    try:
        mode = _wanted(trainer, backbone, asked, began, size if size is None else per_pass(size))
    except ConfigError as error:  # in every process
        end_together(trainer, error)
    failure: ConfigError | None = None
    try:
        if mode.compiled:
            check_compiler(trainer.strategy.root_device.type)
            if size is None:
                raise ConfigError("the training batches have no size of their own: give the loader a batch_size")
    except ConfigError as error:
        failure = error
    if in_any_process(failure is not None, trainer.strategy.root_device):  # modes differ in the last bits
        failure = failure or ConfigError("there is no working compiler in another process of the run")
        if began == "compiled" or asked is True:
            end_together(trainer, _refusal(failure, began))
        mode = Mode(False, str(failure))
    run_eagerly(backbone)
    if mode.compiled and size is not None:
        backbone.compile(per_pass(size))
    return mode


def whole_batch(trainer: pl.Trainer) -> int | None:
    """Networks in each training batch of this process but the last; None: loaders of one's own do not say it."""
    loader = training_loader(trainer)
    sampler = getattr(loader, "sampler", None)
    size = sampler.whole if isinstance(sampler, BatchSampler) else getattr(loader, "batch_size", None)
    return size if isinstance(size, int) else None


def widths_of(trainer: pl.Trainer) -> int:
    """Number of architectures among the training networks; 1 for loaders of one's own."""
    dataset = getattr(training_loader(trainer), "dataset", None)
    return len({part.spec for part in dataset.parts}) if isinstance(dataset, MixedDataset) else 1


def batches_ahead(trainer: pl.Trainer) -> float:
    """Training batches of a run from its beginning to its limits; infinity: it has none."""
    steps = trainer.estimated_stepping_batches
    return steps * trainer.accumulate_grad_batches if 0 <= steps < inf else inf


def _wanted(trainer: pl.Trainer, backbone: Backbone, asked: Compile, began: str | None, networks: int | None) -> Mode:
    """The mode if a compiler works."""
    if began is not None:
        return resumed(asked, began)
    if isinstance(asked, bool):
        return Mode(asked)
    if is_trial(trainer):
        return Mode(False, "a trial of a few batches does not repay compiling")
    if reads_checkpoint_late(trainer):
        return Mode(False, f"with {type(trainer.strategy).__name__} only compile: true compiles")
    if networks is None:
        return Mode(False, "the size of the training batches is not known")
    if not any(p.requires_grad for block in backbone.blocks() for p in block.parameters()):
        return Mode(False, "what would be compiled is not trained")
    # each width is compiled for itself
    pays = backbone.compile_pays * widths_of(trainer)
    return decide(batches_ahead(trainer), step_work(backbone, networks), pays, _name(backbone))


def _name(backbone: Backbone) -> str:
    """Name of the class that is compiled: that of the backbone, or of the one within."""
    first = backbone.blocks()[0]
    return _name(first) if isinstance(first, Backbone) and first is not backbone else type(backbone).__name__


def _refusal(failure: ConfigError, began: str | None) -> ConfigError:
    if began == "compiled":
        return ConfigError(
            f"the run that is resumed began compiled, which it must stay to end in the same bits, but here {failure}"
        )
    return ConfigError(f"compile is true, but {failure}. Or take compile: auto, or false")
