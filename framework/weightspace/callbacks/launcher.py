"""Starting the processes of a run so that they watch each other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.distributed.peers import Peers
from weightspace.runs.loops import OpenLauncher, ScriptLauncher, callbacks_of, script_launcher, set_launcher
from weightspace.text import call_text

#: Environment variable with the id of the process that has started this one.
FIRST = "WEIGHTSPACE_FIRST_PROCESS"


def watch_peers(trainer: pl.Trainer, hint: Callable[[], str]) -> None:
    """Makes the processes of a run watch each other (see ``Peers``), however they are started.

    Args:
        trainer: a trainer that has not started.
        hint: returns the sentence that says how to resume after another process has ended.
    """
    launcher = script_launcher(trainer)
    if launcher is not None and trainer.world_size > 1:
        meeting = Meeting()
        set_launcher(trainer, WatchedLauncher(launcher, trainer, meeting, hint))
        callbacks_of(trainer).insert(0, meeting)


class Meeting(Callback):
    """Exchanges the identities of the processes of a run, as soon as they are connected."""

    __repr__ = call_text

    peers: Peers

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Exchanges the identities of all processes."""
        self.peers.meet()


class WatchedLauncher(OpenLauncher):
    """Starts the processes of a run like Lightning's launcher, and makes them watch each other.

    Args:
        launcher: the launcher that this one replaces.
        trainer: trainer of the run.
        meeting: callback that passes the peers to the trainer's ``setup``.
        hint: returns the sentence that says how to resume.
    """

    def __init__(
        self, launcher: ScriptLauncher, trainer: pl.Trainer, meeting: Meeting, hint: Callable[[], str]
    ) -> None:
        super().__init__(launcher)
        self.rank, self.world, self._barrier = trainer.global_rank, trainer.world_size, trainer.strategy.barrier
        self._meeting, self._hint = meeting, hint

    def before_start(self) -> None:
        """Passes the id of this process to those that it starts."""
        os.environ[FIRST] = str(os.getpid())

    def watching(self, children: list[subprocess.Popen[bytes]]) -> AbstractContextManager[object]:
        """Watches the processes that this one has started, or the one that has started it."""
        first = int(os.environ[FIRST]) if self.rank and FIRST in os.environ else None
        known = {self.rank + place: child for place, child in enumerate(children, start=1)}
        self._meeting.peers = Peers(self.rank, self.world, self._hint, known, first)
        return self._meeting.peers.watched(self._barrier)
