"""How a run of several processes begins, and is watched from then on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

import lightning.pytorch as pl
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch import Callback
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from weightspace.distributed.peers import Peers

#: Tells a process that Lightning starts which one has started it.
FIRST = "WEIGHTSPACE_FIRST_PROCESS"


def watch_peers(trainer: pl.Trainer, hint: Callable[[], str]) -> None:
    """Has the processes of a run watch each other (see ``Peers``), whoever starts them; one alone has none.

    Args:
        trainer: that has not begun.
        hint: says how to go on after another process has ended.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher) and trainer.world_size > 1:
        watched = WatchedLauncher(trainer, launcher, hint)
        trainer.strategy._launcher = watched
        cast(Any, trainer).callbacks.insert(0, watched.meeting)


class WatchedLauncher(_SubprocessScriptLauncher):
    """Lightning's, without its observer, which looks every five seconds and kills all, itself first, without a word.

    Args:
        trainer: of the run.
        launcher: that this one replaces.
        hint: says how to go on.
    """

    def __init__(self, trainer: pl.Trainer, launcher: _SubprocessScriptLauncher, hint: Callable[[], str]) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self._strategy = trainer.strategy
        self.rank, self.world, self._hint = trainer.global_rank, trainer.world_size, hint
        self.meeting = Meeting()

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Starts the other processes, unless somebody has, and calls the function in this one."""
        environment = self.cluster_environment
        environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        first = int(os.environ[FIRST]) if self.rank and FIRST in os.environ else None
        if not environment.creates_processes_externally:
            os.environ[FIRST] = str(os.getpid())
            self._call_children_scripts()
        children = {self.rank + place: child for place, child in enumerate(self.procs, start=1)}
        self.meeting.peers = Peers(self.rank, self.world, self._hint, children, first)
        _set_num_threads_if_needed(num_processes=self.num_processes)
        with self.meeting.peers.watched(self._strategy.barrier):
            return function(*args, **kwargs)


class Meeting(Callback):
    """Tells the processes of a run of each other, as soon as they are connected."""

    peers: Peers

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """All tell all who they are."""
        self.peers.meet()
