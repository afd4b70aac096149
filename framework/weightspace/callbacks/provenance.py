"""Recording the provenance and the metrics of a run."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import entry_points
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback

from weightspace.callbacks.assignment_solver import AssignmentSolver
from weightspace.callbacks.measured import measured
from weightspace.callbacks.run_end import RunEnd
from weightspace.data import ZooDataModule
from weightspace.data.mixture import Mixture, zoos_of
from weightspace.entry_points import AUGMENTATIONS, BACKBONES, SOURCES, distribution
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import callbacks_of
from weightspace.runs.origin import origin_there
from weightspace.runs.parts import part_name, part_of
from weightspace.symmetry.assignment import describe_solver
from weightspace.tasks import FineTuneTask, Task
from weightspace.text import call_text
from weightspace.version import __version__
from weightspace.zoo import Zoo
from weightspace.zoo.making import making_of

#: Groups of entry points through which a run may use third-party code.
GROUPS = (AUGMENTATIONS, BACKBONES, SOURCES)


class Provenance(Callback):
    """Writes ``provenance.json`` when training starts, and metrics of ``test`` and ``validate`` to ``metrics.json``.

    Args:
        folder: folder of the run.
        seed: seed of the run.
        solver: the callback, before this one in the trainer, that knows the solver of the assignment problems.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, seed: int, solver: AssignmentSolver) -> None:
        self.folder, self.seed, self.solver = folder, seed, solver

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes ``provenance.json``, unless there is nothing left to train."""
        mode = pl_module.settle_mode().name if isinstance(pl_module, Task) else None  # in all processes together
        ended = any(isinstance(callback, RunEnd) and callback.finished for callback in callbacks_of(trainer))
        if ended or not trainer.is_global_zero:
            return
        assert self.solver.name is not None, "AssignmentSolver is before this callback"
        data = cast(Any, trainer).datamodule
        zoo = _zoo(data) if isinstance(data, ZooDataModule) else None
        tests = zoos_of(data.tested) if isinstance(data, ZooDataModule) and data.tested is not data.zoo else ()
        content = {
            "seed": self.seed,
            "processes": trainer.world_size,
            "zoo": zoo,
            **({"test_zoo": [_said(part) for part in tests]} if tests else {}),
            "encoder": _encoder(pl_module),
            "mode": mode,
            "parameters": sum(p.numel() for p in pl_module.parameters()),
            "git_revision": _git_revision(),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "lightning": pl.__version__,
                "weightspace": __version__,
            },
            "assignment_solver": describe_solver(self.solver.name),
            "plugins": sorted({distribution(point) for group in GROUPS for point in entry_points(group=group)}),
            "command": sys.argv,
        }
        name = part_name("provenance.json", max(1, part_of(self.folder)))
        if not (self.folder.path / name).exists():  # the previous part has the same provenance
            self.folder.write_json(name, content)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the test metrics to ``metrics.json``."""
        self._write(trainer, "test")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the metrics of the command ``validate`` to ``metrics.json``."""
        if trainer.state.fn == "validate":
            self._write(trainer, "validate")

    def _write(self, trainer: pl.Trainer, command: str) -> None:
        found = measured(trainer)  # a collective operation of all processes
        if trainer.is_global_zero:
            self.folder.add_metrics(command, found)


def _zoo(data: ZooDataModule) -> dict[str, Any] | list[dict[str, Any]]:
    """The zoo of a run, and the stored alignment that its augmentations use; or several zoos."""
    if isinstance(data.zoo, Mixture):
        return [_said(part) for part in data.zoo.zoos]
    zoo, used = _said(data.zoo), data.alignment
    return zoo if used is None else {**zoo, "alignment": {"name": used.name, "digest": used.digest}}


def _said(zoo: Zoo) -> dict[str, Any]:
    return {"path": str(zoo.path), "digest": zoo.digest, "making": making_of(zoo.header)}


def _encoder(task: pl.LightningModule) -> dict[str, Any] | None:
    """The pretrained encoder that a run starts from."""
    path = task.path if isinstance(task, FineTuneTask) else None
    found = None if path is None else origin_there("encoder", str(path))
    return None if found is None else asdict(found)


def _git_revision() -> str | None:
    """The git commit of the working directory; None outside a repository."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
