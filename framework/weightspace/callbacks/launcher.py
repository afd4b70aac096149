"""How a run of several processes begins, and is watched from then on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.distributed.peers import Peers
from weightspace.runs.loops import OpenLauncher, ScriptLauncher, callbacks_of, script_launcher, set_launcher

#: Tells a process that Lightning starts which one has started it.
FIRST = "WEIGHTSPACE_FIRST_PROCESS"


def watch_peers(trainer: pl.Trainer, hint: Callable[[], str]) -> None:
    """Has the processes of a run watch each other (see ``Peers``), whoever starts them; one alone has none.

    Args:
        trainer: that has not begun.
        hint: says how to go on after another process has ended.
    """
    launcher = script_launcher(trainer)
    if launcher is not None and trainer.world_size > 1:
        meeting = Meeting()
        set_launcher(trainer, WatchedLauncher(launcher, trainer, meeting, hint))
        callbacks_of(trainer).insert(0, meeting)


class Meeting(Callback):
    """Tells the processes of a run of each other, as soon as they are connected."""

    peers: Peers

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """All tell all who they are."""
        self.peers.meet()


class WatchedLauncher(OpenLauncher):
    """Starts the processes of a run as Lightning does, and has them watch each other.

    Args:
        launcher: that this one replaces.
        trainer: of the run.
        meeting: takes the peers to the trainer's ``setup``.
        hint: says how to go on.
    """

    def __init__(
        self, launcher: ScriptLauncher, trainer: pl.Trainer, meeting: Meeting, hint: Callable[[], str]
    ) -> None:
        super().__init__(launcher)
        self.rank, self.world, self._barrier = trainer.global_rank, trainer.world_size, trainer.strategy.barrier
        self._meeting, self._hint = meeting, hint

    def before_start(self) -> None:
        """Tells the others which process starts them."""
        os.environ[FIRST] = str(os.getpid())

    def watching(self, children: list[subprocess.Popen[bytes]]) -> AbstractContextManager[object]:
        """Watches those that this process has started, or the one that has started it."""
        first = int(os.environ[FIRST]) if self.rank and FIRST in os.environ else None
        known = {self.rank + place: child for place, child in enumerate(children, start=1)}
        self._meeting.peers = Peers(self.rank, self.world, self._hint, known, first)
        return self._meeting.peers.watched(self._barrier)
