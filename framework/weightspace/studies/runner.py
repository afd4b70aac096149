"""Running what is missing of a study: several runs at a time, in any order of their ends, each recorded at once."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from weightspace.errors import ConfigError, WeightspaceError
from weightspace.runs.metric_text import metric_text
from weightspace.studies.cells import Cell, Place
from weightspace.studies.collecting import collect
from weightspace.studies.estimate import ended_runs, time_left
from weightspace.studies.record import Record, Result
from weightspace.studies.table import check_metrics
from weightspace.studies.workers import Job, Workers

#: Seconds between two looks at the running jobs.
PAUSE = 0.2


@dataclass(frozen=True)
class Failure:
    """A run that has failed, with the last line that it printed."""

    cell: Cell
    reason: str


def collect_ended(place: Place, cells: Sequence[Cell], record: Record) -> None:
    """Adds the results of runs that have ended since the record was written, for instance on a cluster.

    Results that an earlier version has recorded get what it has not kept.

    Args:
        place: the study with its folder.
        cells: the runs that may have.
        record: where they are added; it is not written.
    """
    for cell in cells:
        held = record.holds(cell)
        if (held and record.results[cell.key].origins) or not place.began_as_asked(cell):
            continue
        result = collect(place.run(cell), place.study.tested)
        if result is not None:
            (record.complete if held else record.take)(cell, result)


class Runner:
    """Runs the missing cells of a study.

    Args:
        place: the study with its folder.
        cells: all its runs.
        record: where results are added.
        workers: compute the runs.
        say: prints a line.
    """

    def __init__(
        self, place: Place, cells: Sequence[Cell], record: Record, workers: Workers, say: Callable[[str], None]
    ) -> None:
        self.place, self.cells, self.record, self.workers, self.say = place, cells, record, workers, say
        self.failures: list[Failure] = []
        self._running: dict[Cell, Job] = {}
        self._began: dict[Cell, float] = {}

    def run(self, missing: Sequence[Cell]) -> list[Failure]:
        """Runs cells, and returns those that have failed. An exception, ctrl-C too, ends the processes."""
        waiting = list(missing)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self.workers.count:
                    cell = waiting.pop(0)
                    self._start(cell, [*self._running, *waiting])
                time.sleep(PAUSE)
                for cell in [cell for cell, job in self._running.items() if job.code() is not None]:
                    self._finish(cell, self._running.pop(cell), [*self._running, *waiting])
        finally:
            for job in self._running.values():
                job.stop()
        return self.failures

    def _start(self, cell: Cell, left: list[Cell]) -> None:
        self._began[cell] = time.monotonic()
        job = self.workers.running(self.place.log(cell)) if self.place.began_as_asked(cell) else None
        if job is None:
            try:
                self.place.check_base(cell)
                self.place.begin(cell)
            except WeightspaceError as error:
                self._fail(cell, str(error), left)
                return
            job = self.workers.start(json.dumps(self.place.commands(cell)), self.place.log(cell))
        self._running[cell] = job

    def _fail(self, cell: Cell, reason: str, left: list[Cell]) -> None:
        self.failures.append(Failure(cell, reason))
        self._say(cell, f" failed: {reason}", left)

    def _finish(self, cell: Cell, job: Job, left: list[Cell]) -> None:
        try:
            result = self._result(cell, job)
        except ConfigError as error:
            self._fail(cell, str(error), left)
            return
        self.record.take(cell, replace(result, whole=round(time.monotonic() - self._began[cell], 1)))
        self.record.write()
        check_metrics(self.place.study, self.record)  # before hours are spent on the others
        rest = time_left(left, ended_runs(self.cells, self.record), self.workers.count)
        more = f"; {len(left)} left, {rest}" if left else ""
        metric = self.place.study.metrics[0]
        found = metric_text(metric, result.metrics[metric]) if metric in result.metrics else f"no {metric}"
        self._say(cell, f": {found} in {timedelta(seconds=round(result.seconds))}{more}", left)

    def _say(self, cell: Cell, what: str, left: list[Cell]) -> None:
        self.say(f"[{len(self.cells) - len(left)}/{len(self.cells)}] {cell.key}{what}")

    def _result(self, cell: Cell, job: Job) -> Result:
        """What a run has found.

        Raises:
            ConfigError: it has failed.
        """
        log = self.place.log(cell)
        if code := job.code():
            raise ConfigError(f"{job.reason() or _reason(log, code)} (exit code {code}; {log})")
        self.place.check_base(cell)
        result = collect(self.place.run(cell), self.place.study.tested)
        if result is None:
            raise ConfigError(f"it has ended without results; {log}")
        return result


def _reason(log: Path, code: int) -> str:
    """Why a run has failed: the last line that it has printed, unless a signal has ended it."""
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}{', as where memory is short' if code == -9 else ''}"
    if not log.is_file():  # a job of a cluster that has not begun
        return "it printed nothing"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it printed nothing"
