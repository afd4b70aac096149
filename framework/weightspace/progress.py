"""Progress display of long jobs: lines, and a bar with count, rate and time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from weightspace.distributed import rank
from weightspace.text import PlainConsole, shown, shown_lines

#: A log gets a line when this share of all items is done since the last one, but not sooner than after so many seconds.
LOG_SHARE, LOG_SECONDS = 0.01, 10.0
#: How many things that were left out are listed.
LISTED = 20

#: Called with how many items are done by now, of how many, and a note that is shown behind them.
Report = Callable[..., None]


class Display:
    """Shows what a job does: on a terminal or in a notebook with a moving bar, in a log with a line now and then.

    Of several processes, that of rank 0 shows something, the others nothing.

    Args:
        show: whether to show progress; None: only on a terminal or in a notebook.
        console: where to; default standard output.
    """

    def __init__(self, show: bool | None = None, console: PlainConsole | None = None) -> None:
        self._console = console or PlainConsole()
        notebook, terminal = self._console.is_jupyter, self._console.is_terminal
        self._shows = (notebook or terminal if show is None else show) and rank() == 0
        # rich moves a bar in a notebook by means of ipywidgets alone
        self._moves = (
            find_spec("ipywidgets") is not None if notebook else terminal and not self._console.is_dumb_terminal
        )

    def say(self, line: str | Text) -> None:
        """Prints a line, unless nothing is shown."""
        if self._shows:
            self._console.print(line)

    def warn(self, what: str, why: object) -> None:
        """Prints a line whose beginning stands out."""
        self.say(Text.assemble((what, "yellow"), f" {shown_lines(why)}"))

    def list_left_out(self, left: Sequence[tuple[str, str]]) -> None:
        """Lists what was left out: (name, reason); of many, the first ones and how often there was each reason."""
        for name, reason in left[:LISTED]:
            self.warn("left out", f"{shown(name)}: {shown(reason)}")
        if len(left) > LISTED:
            reasons = Counter(reason.split(":")[0] for _, reason in left).most_common()
            self.say(f"... {len(left)} in all, listed in zoo.json: {dict(reasons)}")

    @contextmanager
    def bar(self, deed: str, unit: str = "networks") -> Iterator[Report]:
        """Shows how far a job is; gives the function that it calls: ``report(done, total, note="")``.

        Args:
            deed: what is done, as "fitting".
            unit: of what there are many.
        """
        if not self._shows:
            yield lambda done, total, note="": None
        elif self._moves:
            yield from self._moving(deed, unit)
        else:
            yield from self._logging(unit)

    def _moving(self, deed: str, unit: str) -> Iterator[Report]:
        fields = (TextColumn(f"{{task.fields[{name}]}}") for name in ("pace", "note"))
        pace = _Pace(unit)
        progress = Progress(TextColumn(deed), BarColumn(), MofNCompleteColumn(), *fields, console=self._console)
        task = progress.add_task(deed, total=None, pace="", note="")

        def report(done: int, total: int, note: str = "") -> None:
            progress.start()  # so that what comes before the first report may show a bar of its own
            progress.update(task, completed=done, total=total, pace=pace.text(done, total), note=note)

        try:
            yield report
        finally:
            progress.stop()

    def _logging(self, unit: str) -> Iterator[Report]:
        pace, line, logged = _Pace(unit), "", (0, time.monotonic())

        def report(done: int, total: int, note: str = "") -> None:
            nonlocal line, logged
            line = ", ".join(part for part in (f"{done}/{total} {unit}", pace.text(done, total), note) if part)
            if done - logged[0] >= LOG_SHARE * total and time.monotonic() - logged[1] >= LOG_SECONDS:
                self.say(line)
                line, logged = "", (done, time.monotonic())

        yield report
        if line:
            self.say(line)


class _Pace:
    """Rate and time left since the first report, since a resumed job starts with a part done."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._first: tuple[int, float] | None = None

    def text(self, done: int, total: int) -> str:
        """As "120 networks/s, 0:00:05 left"; empty before there is a rate."""
        self._first = self._first or (done, time.perf_counter())
        rate = (done - self._first[0]) / max(time.perf_counter() - self._first[1], 1e-9)
        if not rate:
            return ""
        left = timedelta(seconds=round((total - done) / rate))
        return f"{rate:.{0 if rate >= 100 else 1}f} {self._unit}/s" + (f", {left} left" if done < total else "")
