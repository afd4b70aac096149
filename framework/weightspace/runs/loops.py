"""All uses of parts of Lightning that are not public, or whose behaviour is not documented.

Every function and class here says which part it uses and why. A test of each in ``tests/framework/runs/test_loops.py``
fails where a version of Lightning has changed that part; ``setup.py`` bounds the version for the same reason. This
module is internal.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import DeviceStatsMonitor, EarlyStopping, ModelCheckpoint, RichProgressBar, Timer
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher as ScriptLauncher
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

# --- where training stands ---


def epoch_ends(trainer: pl.Trainer) -> bool:
    """Whether the epoch ends with the step that is just over.

    Uses ``fit_loop._can_stop_early``: ``should_stop`` alone counts only once ``min_epochs`` and ``min_steps`` are
    reached, and no hook is called between a step and the end of its epoch that would know.
    """
    stops = trainer.should_stop and trainer.fit_loop._can_stop_early
    return trainer.is_last_batch or stops or trainer.global_step == trainer.max_steps


def validation_follows(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether the trainer validates after this batch of an epoch, which is not its last.

    Uses ``val_check_batch`` and ``fit_loop.total_batch_idx``, from which the loop decides it after all hooks of a
    batch.
    """
    total = trainer.check_val_every_n_epoch is None
    number = trainer.fit_loop.total_batch_idx if total else batch_idx
    return trainer.val_check_batch is not None and (number + 1) % trainer.val_check_batch == 0


def epochs_done(trainer: pl.Trainer) -> int:
    """Number of completed epochs.

    Uses ``fit_loop.epoch_progress``: ``current_epoch`` counts an epoch only after the hooks of its end.
    """
    return int(cast(Any, trainer.fit_loop.epoch_progress.current).processed)


def between_epochs(trainer: pl.Trainer) -> bool:
    """Whether no epoch is in progress. Uses ``fit_loop.epoch_progress``."""
    progress = cast(Any, trainer.fit_loop.epoch_progress.current)
    return bool(progress.processed == progress.started)


def saved_epochs(checkpoint: dict[str, Any]) -> tuple[int, bool]:
    """Number of epochs completed when a checkpoint was written, and whether none was in progress.

    Uses the progress of the loops that Lightning saves, since ``checkpoint["epoch"]`` does not distinguish a
    completed epoch from an unfinished one.
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    return int(progress["processed"]), bool(progress["processed"] == progress["started"])


def batches_before(trainer: pl.Trainer) -> int:
    """Number of batches of this epoch that were trained on before the run was resumed; 0 if it was not.

    Uses ``fit_loop.restarting`` and the progress of ``epoch_loop``: Lightning does not skip batches, but leaves
    this to stateful loaders.
    """
    if not (trainer.training and trainer.fit_loop.restarting):
        return 0
    return int(trainer.fit_loop.epoch_loop.batch_progress.current.ready)


def limit_of_epochs(trainer: pl.Trainer) -> int:
    """The number of epochs after which training ends; -1: unlimited.

    Repeats the rule by which ``fit`` replaces a ``max_epochs`` that is not given, which is needed before ``fit``.
    """
    if trainer.max_epochs is not None:
        return trainer.max_epochs
    timed = any(isinstance(c, Timer) and c.time_remaining() is not None for c in callbacks_of(trainer))
    return 1000 if trainer.max_steps == -1 and not timed else -1


def training_loader(trainer: pl.Trainer) -> Any:
    """The loader of the training batches, before the first epoch.

    Uses ``fit_loop.setup_data``, which makes it once, as ``estimated_stepping_batches`` does where it needs it.
    """
    trainer.fit_loop.setup_data()
    return trainer.train_dataloader


def skips_steps_itself(trainer: pl.Trainer) -> bool:
    """Whether the precision plugin leaves out steps with gradients that are not finite.

    Uses ``precision_plugin.scaler``, which the plugin of ``16-mixed`` has.
    """
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def clips_unscaled(trainer: pl.Trainer) -> bool:
    """Whether the precision plugin clips gradients, which it refuses for optimisers that unscale them themselves.

    Uses ``MixedPrecision.clip_gradients``, which refuses fused optimisers, also where nothing is scaled.
    """
    return isinstance(trainer.precision_plugin, MixedPrecision) and bool(trainer.gradient_clip_val)


# --- callbacks ---


def set_metrics(trainer: pl.Trainer, metrics: Mapping[str, float | None]) -> None:
    """Sets metrics that callbacks and reports read, where a hook may not log; None: forgets one.

    Uses that ``callback_metrics`` is the trainer's own dictionary, in which metrics stay that an epoch has not logged.
    """
    known = trainer.callback_metrics
    for name, value in metrics.items():
        if value is None:
            known.pop(name, None)
        else:
            known[name] = torch.tensor(value)


def callbacks_of(trainer: pl.Trainer) -> list[Callback]:
    """The mutable list of the trainer's callbacks, in the order in which they are called.

    Uses ``trainer.callbacks``, which is set outside the class, so that type checkers do not know it.
    """
    return cast(list[Callback], cast(Any, trainer).callbacks)


def is_trial(trainer: pl.Trainer) -> bool:
    """Whether this is a trial of a few batches, which writes nothing.

    Uses ``fast_dev_run``, which is set outside the class, as ``callbacks`` is.
    """
    return bool(cast(Any, trainer).fast_dev_run)


def stopping_message(callback: EarlyStopping) -> str:
    """Why EarlyStopping has stopped. Uses ``stopping_reason_message``, and leaves out its last sentence."""
    said = (callback.stopping_reason_message or f"{callback.monitor}").removesuffix(" Signaling Trainer to stop.")
    return said.rstrip(".")


def has_stopped(callback: Callback) -> bool:
    """Whether a callback of Lightning has requested the end of training.

    Uses ``stopping_reason_message``, which EarlyStopping sets when it asks; a Timer asks when its time is over.
    """
    if isinstance(callback, Timer):
        left = callback.time_remaining()
        return left is not None and left <= 0
    return isinstance(callback, EarlyStopping) and callback.stopping_reason_message is not None


def is_missing_metric(error: RuntimeError) -> bool:
    """Whether this is the error of EarlyStopping about a metric that was not logged.

    Uses the text of the error, which has no type of its own.
    """
    return str(error).startswith("Early stopping conditioned on metric")


def measures_processor(callback: Callback, accelerator: str) -> bool:
    """Whether a callback is a DeviceStatsMonitor that will ask for statistics of the processor.

    Uses ``_cpu_stats``: it asks for psutil only in ``setup``, after other things have been written.

    Args:
        callback: any.
        accelerator: the trainer's option.
    """
    if not isinstance(callback, DeviceStatsMonitor) or callback._cpu_stats is False:
        return False
    return bool(callback._cpu_stats or accelerator == "cpu" or not torch.cuda.is_available())


class OpenCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that subclasses can follow: when it has saved a better one, and which file is the newest.

    Overrides ``_update_best_and_save``, in which files are written and their ranking changes, and
    ``_find_last_checkpoints``, to which ``ckpt_path="last"`` leads and which knows no other names than ``last*.ckpt``.
    """

    def better_one_saved(self, trainer: pl.Trainer) -> None:
        """Called in all processes after a checkpoint that is among the best was saved."""

    def newest(self) -> Path | None:
        """The checkpoint that ``ckpt_path="last"`` means, in whichever folder; None: there is none."""
        return None

    def choose_by(self, monitor: str, mode: str) -> None:
        """Sets the metric, and whether "max" or "min" is better, which is known later than in the constructor.

        Repeats what the constructor makes of the mode: ``kth_value``.
        """
        self.monitor, self.mode = monitor, mode
        self.kth_value = torch.tensor(torch.inf if mode == "min" else -torch.inf)

    def _update_best_and_save(
        self, current: Tensor, trainer: pl.Trainer, monitor_candidates: dict[str, Tensor]
    ) -> None:
        super()._update_best_and_save(current, trainer, monitor_candidates)
        self.better_one_saved(trainer)

    def _find_last_checkpoints(self, trainer: pl.Trainer) -> set[str]:
        newest = self.newest()
        return set() if newest is None else {str(newest)}


def with_renamed_files(state: dict[str, Any], rename: Callable[[str], str]) -> dict[str, Any]:
    """The state of a ModelCheckpoint with other names of its files. Uses the entries of its ``state_dict``."""
    names = ("best_model_path", "kth_best_model_path", "last_model_path")
    paths = {key: rename(state[key]) for key in names if state.get(key)}
    best = {rename(path): score for path, score in state.get("best_k_models", {}).items()}
    return {**state, **paths, "best_k_models": best}


class TitledBar(RichProgressBar):
    """A RichProgressBar whose subclasses choose the text before the bar. Overrides ``_get_train_description``."""

    def title(self, epoch: int) -> str:
        """The text for an epoch, counted from 0."""
        return f"epoch {epoch + 1}"

    def _get_train_description(self, current_epoch: int) -> str:
        return self.title(current_epoch)


# --- strategy and processes ---


def global_seed() -> int:
    """The seed that ``seed_everything`` was given; 0: it was not called. Uses the variable that it sets."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


def exchange_checkpoint_io(trainer: pl.Trainer, exchange: Callable[[CheckpointIO], CheckpointIO]) -> None:
    """Replaces the plugin that reads and writes checkpoints.

    Uses that the strategy asks its ``checkpoint_io`` for each file anew, so that it can be replaced until a checkpoint
    is restored, which is after all ``setup`` hooks.
    """
    trainer.strategy.checkpoint_io = exchange(trainer.strategy.checkpoint_io)


def early_rank() -> int:
    """The rank of this process before there is a trainer.

    Uses ``rank_zero_only.rank``, which is set when Lightning is imported.
    """
    return int(cast(Any, rank_zero_only).rank)


def is_started_by_lightning(trainer: pl.Trainer) -> bool:
    """Whether the first process has started this one, and watches it. Uses ``strategy.cluster_environment``."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return isinstance(environment, LightningEnvironment) and not trainer.is_global_zero


def script_launcher(trainer: pl.Trainer) -> ScriptLauncher | None:
    """The launcher that starts a run's processes by running the script again; None if they are started otherwise.

    Uses ``strategy.launcher`` and its private class.
    """
    launcher = trainer.strategy.launcher
    return launcher if isinstance(launcher, ScriptLauncher) else None


def set_launcher(trainer: pl.Trainer, launcher: ScriptLauncher) -> None:
    """Replaces the launcher of a trainer that has not begun. Uses ``strategy._launcher``: there is no setter."""
    trainer.strategy._launcher = launcher


class OpenLauncher(ScriptLauncher):
    """A script launcher whose subclasses watch the processes instead of Lightning's observer.

    That observer checks every five seconds, and kills all processes, its own first, without a message. Repeats the few
    lines of ``launch`` without it; uses ``_call_children_scripts`` and ``_set_num_threads_if_needed``.

    Args:
        launcher: the one that it replaces.
    """

    def __init__(self, launcher: ScriptLauncher) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)

    def before_start(self) -> None:
        """Called before this process starts others, which inherit its environment."""

    def watching(self, children: list[subprocess.Popen[bytes]]) -> AbstractContextManager[object]:
        """The context in which the run's function is called, in every process.

        Args:
            children: processes that this process has started.
        """
        raise NotImplementedError

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Starts the other processes, unless they run already, and calls the function in this one."""
        environment = self.cluster_environment
        environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not environment.creates_processes_externally:
            self.before_start()
            self._call_children_scripts()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        with self.watching(self.procs):
            return function(*args, **kwargs)


def shares_gradients(trainer: pl.Trainer) -> bool:
    """Whether all processes have the same gradients, to the bit, after the backward pass of a step.

    DDP averages them, unless there are parameters that it ignores or a hook that does something else in its place, of
    which it keeps a list, ``_comm_hooks``. With manual optimisation a model may step before they are averaged.
    """
    if trainer.world_size == 1:
        return True
    model = trainer.strategy.model
    if not isinstance(model, DistributedDataParallel) or not trainer.lightning_module.automatic_optimization:
        return False
    return not model.parameters_to_ignore and not model._comm_hooks


def leave_signals(trainer: pl.Trainer) -> None:
    """Keeps the training loop from asking the first process before each batch whether SIGTERM has arrived.

    Overrides ``_broadcast_sigterm_tensor`` of the loop: whoever handles the signal makes the processes agree on it.
    """
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


# --- models ---


def has_trainer(module: pl.LightningModule) -> bool:
    """Whether a model has a trainer. Uses ``_trainer``: the property raises an error if there is none."""
    return module._trainer is not None


def forget_metrics(module: pl.LightningModule) -> None:
    """Makes Lightning search a model for metrics again. Uses ``_metric_attributes``, in which it caches them."""
    module._metric_attributes = None


def reads_checkpoint_late(trainer: pl.Trainer) -> bool:
    """Whether checkpoints are read after the model was divided between processes.

    Uses ``strategy.restore_checkpoint_after_setup``: such a model cannot be built again for what a checkpoint holds.
    """
    return bool(trainer.strategy.restore_checkpoint_after_setup)


def building(trainer: pl.Trainer) -> AbstractContextManager[object]:
    """The context in which Lightning calls ``configure_model``, for modules that are built again later.

    Uses ``precision_plugin.module_init_context``, which sets the type of their parameters.
    """
    return trainer.precision_plugin.module_init_context()
