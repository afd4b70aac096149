"""The rules of the contract of a task: one function per rule, whose docstring is part of the failure message."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning.pytorch as pl
import torch
from torch import Tensor

from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, soft_targets
from weightspace.data import ZooDataModule
from weightspace.tasks import Task
from weightspace.tasks.base import TEST_NAMES
from weightspace.tasks.description import omitted_arguments
from weightspace.tasks.prediction import check_prediction
from weightspace.testing.check import Rule

#: Of training.
STEPS = 2


class Recorder(pl.Callback):
    """Keeps the losses of training, and the weights before it."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.before: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the weights."""
        self.before = {name: p.detach().clone() for name, p in pl_module.named_parameters()}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keeps the loss."""
        self.losses.append(outputs["loss"] if isinstance(outputs, dict) else outputs)


class Softened(Augmentation):
    """Leaves networks as they are and gives each class a part of the target, as label smoothing and MixUp do."""

    uses_labels = True

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> None:
        """Nothing is random."""

    def apply(self, batch: WeightBatch, params: None) -> WeightBatch:
        """A tenth of each target goes to all classes alike."""
        targets = soft_targets(batch)
        return batch.replace(targets=torch.lerp(targets, torch.full_like(targets, 1 / targets.shape[1]), 0.1))


@dataclass(frozen=True)
class Trial:
    """A task that is checked, and the data that it learns from.

    Attributes:
        make: makes the task, untrained.
        data: makes the data module of the zoo, with further options.
    """

    make: Callable[[], Task]
    data: Callable[..., ZooDataModule]

    @cached_property
    def trained(self) -> Trained:
        """Trained as it is given."""
        return self.train()

    def train(self, **data: Any) -> Trained:
        """Two steps and a validation, with further options of the data."""
        recorder = Recorder()
        trainer = _trainer(max_epochs=1, limit_train_batches=STEPS, callbacks=[recorder])
        with _alone():
            task = self.make()
            trainer.fit(task, self.data(**data))
        return Trained(task, trainer, recorder)


class Trained(NamedTuple):
    """A task after its training."""

    task: Task
    trainer: pl.Trainer
    recorder: Recorder


def it_trains(trial: Trial) -> None:
    """Two steps of training give finite losses, and change the weights."""
    task, _, recorder = trial.trained
    _check_losses(recorder)
    after = dict(task.named_parameters())
    assert any(not torch.equal(value, after[name]) for name, value in recorder.before.items()), "no weight has changed"


def the_best_epoch_can_be_chosen(trial: Trial) -> None:
    """Validation logs the metric that ``monitor`` names, finite, and ``monitor_mode`` is "max" or "min"."""
    task, trainer, _ = trial.trained
    monitor, mode = getattr(task, "monitor", None), task.monitor_mode
    assert monitor is not None, "the class has no monitor"
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert monitor in logged, f"{monitor} is not logged, only {', '.join(sorted(logged)) or 'nothing'}"
    _check_finite({monitor: logged[monitor]})
    assert mode in ("max", "min"), f"monitor_mode is {mode!r}"


def checkpoints_survive(trial: Trial) -> None:
    """A checkpoint makes another of its kind the same (weights, buffers, metrics), and is enough to build one."""
    task, trainer, _ = trial.trained
    with tempfile.TemporaryDirectory() as folder, _alone():
        path = Path(folder) / "task.ckpt"
        trainer.save_checkpoint(path)
        (before,) = _trainer().validate(task, trial.data(), verbose=False)
        other = trial.make()
        (after,) = _trainer().validate(other, trial.data(), ckpt_path=path, verbose=False)
        built = other if omitted_arguments(path) else type(task).load_from_checkpoint(path)
    saved = task.state_dict()
    for loaded in (other.state_dict(), built.state_dict()):
        different = [n for n in saved if n not in loaded or not torch.equal(saved[n], loaded[n])]
        assert not different, f"{', '.join(different)} are not those that were saved"
    assert before == after, f"validation gives {after}, before saving {before}"


def tests_are_measured(trial: Trial) -> None:
    """Where it has a head, each test set has finite metrics of its own: "test/..." and "internal_test/..."."""
    task = trial.trained.task
    if task.head is None:
        return
    with _alone():
        found = _trainer().test(task, trial.data(internal_test=True), verbose=False)
    metrics = {name: float(value) for part in found for name, value in part.items()}
    _check_finite(metrics)
    for name in TEST_NAMES:
        assert any(m.startswith(f"{name}/") for m in metrics), f"none of {name}, only {', '.join(sorted(metrics))}"


def predictions_are_a_table(trial: Trial) -> None:
    """Where it has a head, predict_step returns objects, views and finite results with a column for each name."""
    task, served = trial.trained.task, trial.data()
    if task.head is None:
        return
    with _alone():
        returned = cast(list[Any], _trainer().predict(task, served))
    assert returned, "predict_step has returned nothing"
    for batch in returned:
        kind = check_prediction(batch, type(task).__name__, len(served.target.names))
        assert bool(batch[kind].isfinite().all()), f"{kind} is not finite"


def mixed_classes_are_learnt(trial: Trial) -> None:
    """Where its head predicts classes, it trains on soft targets too, which label smoothing and MixUp make."""
    if trial.trained.task.head == "class":
        _check_losses(trial.train(augmentations=[Softened()]).recorder)


def _check_losses(recorder: Recorder) -> None:
    assert len(recorder.losses) == STEPS, f"{len(recorder.losses)} losses in {STEPS} steps"
    _check_finite({f"the loss of step {step}": float(loss) for step, loss in enumerate(recorder.losses)})


def _check_finite(values: dict[str, float]) -> None:
    bad = [f"{name} is {value}" for name, value in values.items() if not torch.tensor(value).isfinite()]
    assert not bad, "; ".join(bad)


def _trainer(**options: Any) -> pl.Trainer:
    with _quiet():
        return pl.Trainer(
            accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0, **options,
        )  # fmt: skip


@contextmanager
def _alone() -> Iterator[None]:
    """From a fixed seed, leaving the global generator alone; without Lightning's advice to users of loaders."""
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        logger.setLevel(level)


#: Each presupposes those before it, and all others presuppose these.
BASIC: tuple[Rule, ...] = (it_trains, the_best_epoch_can_be_chosen)
OTHERS: tuple[Rule, ...] = (checkpoints_survive, tests_are_measured, predictions_are_a_table, mixed_classes_are_learnt)
