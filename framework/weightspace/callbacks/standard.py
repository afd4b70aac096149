"""The callbacks of a run, for the command line and for a plain Trainer."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from weightspace.callbacks.assignment_solver import AssignmentSolver
from weightspace.callbacks.best_checkpoint import BestCheckpoint
from weightspace.callbacks.checkpoints import Checkpoints
from weightspace.callbacks.class_tables import ClassTables
from weightspace.callbacks.encoder_file import EncoderFile
from weightspace.callbacks.finite_results import FiniteResults
from weightspace.callbacks.finite_steps import FiniteSteps
from weightspace.callbacks.monitor_check import MonitorCheck
from weightspace.callbacks.pictures import Pictures
from weightspace.callbacks.provenance import Provenance
from weightspace.callbacks.run_end import Configured, RunEnd
from weightspace.callbacks.run_start import RunStart
from weightspace.callbacks.step_seeds import StepSeeds
from weightspace.callbacks.throughput import Throughput
from weightspace.checks import check_path, check_whole
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import global_seed


def standard_callbacks(
    folder: str | Path,
    *,
    seed: int | None = None,
    overwrite: bool = False,
    monitor: str | None = None,
    monitor_mode: str | None = None,
    every_n_steps: int | None = None,
    keep: int = 2,
    top_k: int = 1,
    nonfinite: str = "stop",
) -> list[Callback]:
    """The callbacks that give a plain Trainer the features of a run of the command line, in a folder of its own.

    Training is reproducible, resumes bit for bit, and stops before a weight becomes NaN. Checkpoints, the trained
    network, ``provenance.json``, ``metrics.json``, tables and pictures are written to the folder::

        import lightning as L

        callbacks = standard_callbacks("runs/mine")
        trainer = L.Trainer(max_epochs=5, callbacks=callbacks)
        trainer.fit(task, data, ckpt_path="last")   # resumes, or starts a run
        trainer.test(task, data, ckpt_path="runs/mine/checkpoints/best.ckpt")

    ``ckpt_path="last"`` is the newest checkpoint in ``runs/mine/checkpoints`` (``step-<steps>.ckpt``); if there is
    none, Lightning warns and starts a run. Without ``ckpt_path``, a folder with a run raises an error. Your own
    callbacks may be before or after these. The Trainer's other arguments are free, except that checkpoints must not be
    switched off (``enable_checkpointing=False``) or written later (``AsyncCheckpointIO``); a trial with
    ``fast_dev_run`` writes nothing. ``logger=run_logger("runs/mine")`` writes curves to the same folder. For
    pretraining add an ``OnlineProbe()``.

    Args:
        folder: folder of the run, for instance ``runs/mine``; created if it does not exist.
        seed: seed of all random numbers of training steps, and of the initial weights if the task has none yet, >= 0;
            None: that of ``lightning.seed_everything``, or 0, for the steps alone. Your data module has its own.
        overwrite: whether an existing run in the folder is removed when training starts without resuming, instead of
            raising an error.
        monitor: metric that chooses the best checkpoint; None: that of the task.
        monitor_mode: "max" or "min"; None: that of the task for its own metric, "min" for losses and other errors by
            their names, else "max".
        every_n_steps: optimiser steps between checkpoints within an epoch, >= 1; None: only at the ends of epochs.
        keep: number of newest checkpoints to keep, >= 1.
        top_k: number of best checkpoints to keep, >= 1.
        nonfinite: reaction to a loss or gradient that is not finite: "stop" the run, or "skip" the step.

    Raises:
        ConfigError: a value is out of range. When training starts: the folder contains a run, another process trains in
            it, or it cannot be written; or the Trainer cannot keep a run.
    """
    run, initial = RunFolder(Path(check_path("folder", folder))), seed is not None
    seed = check_whole("seed", global_seed() if seed is None else seed, low=0)
    kept = keeping_callbacks(
        run,
        seed,
        monitor=monitor,
        monitor_mode=monitor_mode,
        every_n_steps=every_n_steps,
        keep=keep,
        top_k=top_k,
        nonfinite=nonfinite,
    )
    return [*step_callbacks(seed, initial), RunStart(run, overwrite, kept), *kept]


def step_callbacks(seed: int, initial: bool = False) -> list[Callback]:
    """The callbacks that write no files, which are also used in trials of a few batches: checks, seeds and speed.

    Args:
        seed: of the run.
        initial: whether initial weights are drawn by it, too.
    """
    return [MonitorCheck(), StepSeeds(seed, initial), Throughput()]


def keeping_callbacks(
    folder: RunFolder,
    seed: int,
    *,
    configured: Configured | None = None,
    checkpointing: bool = True,
    monitor: str | None = None,
    monitor_mode: str | None = None,
    every_n_steps: int | None = None,
    keep: int = 2,
    top_k: int = 1,
    nonfinite: str = "stop",
) -> list[Callback]:
    """The callbacks that write to the folder of a run.

    Args:
        folder: of the run.
        seed: of the run.
        configured: see ``RunEnd``.
        checkpointing: whether checkpoints and the trained network are written.
        monitor, monitor_mode, every_n_steps, keep, top_k, nonfinite: see ``standard_callbacks``.

    Raises:
        ConfigError: a value out of range.
    """
    solver = AssignmentSolver()
    reports: list[Callback] = [
        solver,
        Provenance(folder, seed, solver),
        RunEnd(folder, configured),
        Pictures(folder.pictures),
        ClassTables(folder.path, folder.pictures),
        FiniteSteps(folder, nonfinite),
        FiniteResults(folder, nonfinite),
    ]
    if not checkpointing:
        return reports
    best, last = BestCheckpoint(folder, monitor, monitor_mode, top_k), Checkpoints(folder, every_n_steps, keep)
    return [*reports, best, last, EncoderFile(folder.path)]


def run_logger(folder: str | Path) -> TensorBoardLogger:
    """A TensorBoard logger that writes its event files to the folder of a run.

    Args:
        folder: folder of the run, for instance ``runs/mine``.
    """
    path = Path(folder)
    return TensorBoardLogger(path.parent, name="", version=path.name, default_hp_metric=False)
