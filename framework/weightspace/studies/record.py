"""The results of a study: one file beside it, which is all that its tables need."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from weightspace.errors import ConfigError
from weightspace.files import read_json, write_whole
from weightspace.runs.origin import Origin
from weightspace.studies.cells import Cell

FORMAT = 1


@dataclass(frozen=True)
class Result:
    """What is kept of a finished run.

    Attributes:
        digest: of the configuration that was asked for, see ``Cell``.
        config: digest of the configuration that was run, with all defaults.
        metrics: those of training ("best val/accuracy") and of tests ("test/accuracy").
        seconds: of training.
        whole: seconds of the whole process, with its start and the tests; 0: not known.
        versions: of this package and of torch.
        objects: digest of the numbers of the test objects and views, in their order.
        count: number of test networks.
        correct: a bit for each test network in that order, 1 if its class was found; empty: there are no classes.
        views: how many test networks each object has, see ``collecting.views_text``; empty: one.
        origins: the zoo and the encoder that it read, by kind; empty: not known, as in records of earlier versions.
    """

    digest: str
    config: str
    metrics: dict[str, float]
    seconds: float
    whole: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    objects: str = ""
    count: int = 0
    correct: str = ""
    views: str = ""
    origins: dict[str, Origin] = field(default_factory=dict)

    def right(self) -> np.ndarray | None:
        """(N,) whether the class of each test network was found; None: there are no classes."""
        if not self.correct:
            return None
        bits = np.unpackbits(np.frombuffer(base64.b64decode(self.correct), np.uint8), count=self.count)
        return np.asarray(bits, bool)

    def views_of_objects(self) -> np.ndarray:
        """(O,) the number of networks of each test object, whose sum is ``count``."""
        if not self.views:
            return np.ones(self.count, int)
        views, objects = zip(*_parts(self.views), strict=True)
        return np.repeat(views, objects)


class Record:
    """Results by the keys of cells.

    Args:
        path: the file; if there is none, the record is empty.

    Raises:
        ConfigError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[str, Result] = {}
        if path.exists():
            content = read_json(path, ConfigError, "the record of a study")
            try:
                if content["format"] != FORMAT:
                    raise ConfigError(f"{path} has format {content['format']}, this version reads {FORMAT}: update it")
                self.results = {key: _checked(Result(**entry)) for key, entry in content["runs"].items()}
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ConfigError(f"{path} should be the record of a study, and is damaged: {error}") from error

    def holds(self, cell: Cell) -> bool:
        """Whether there is a result of a run with this configuration."""
        return cell.key in self.results and self.results[cell.key].digest == cell.digest

    def differs(self, cell: Cell) -> bool:
        """Whether the result in this place is of another configuration."""
        return cell.key in self.results and self.results[cell.key].digest != cell.digest

    def ended(self, cells: Iterable[Cell]) -> list[Result]:
        """Results of those of some runs that have ended."""
        return [self.results[cell.key] for cell in cells if self.holds(cell)]

    def take(self, cell: Cell, result: Result) -> None:
        """Adds a result; ``write`` keeps it."""
        self.results[cell.key] = replace(result, digest=cell.digest)

    def complete(self, cell: Cell, again: Result) -> None:
        """Adds to a result of an earlier version what that has not kept; ``write`` keeps it.

        Args:
            cell: the run.
            again: what its folder says now; ignored if that is another run.
        """
        known = self.results[cell.key]
        if (known.config, known.metrics, known.correct) == (again.config, again.metrics, again.correct):
            self.results[cell.key] = replace(known, views=again.views, origins=again.origins)

    def write(self) -> None:
        """Writes the file, whole or not at all.

        Raises:
            ConfigError: it cannot be written.
        """
        runs = {key: asdict(result) for key, result in sorted(self.results.items())}
        try:
            write_whole(self.path, (json.dumps({"format": FORMAT, "runs": runs}, indent=1) + "\n").encode())
        except OSError as error:
            raise ConfigError(f"the results {self.path} cannot be written: {error.strerror or error}") from error


def _checked(result: Result) -> Result:
    """The result; TypeError or ValueError: a number is none, or there is not a bit for each network."""
    for number in (result.seconds, result.whole, result.count, *result.metrics.values()):
        if not isinstance(number, int | float):
            raise TypeError(f"expected a number, found {number!r:.40}")
    bits = base64.b64decode(result.correct, validate=True)
    if bits and len(bits) != -(-result.count // 8):
        raise ValueError(f"expected bits of {result.count} networks, found {len(bits)} bytes")
    if result.views:
        parts = _parts(result.views)
        total = sum(views * objects for views, objects in parts)
        if min(map(min, parts)) < 1 or total != result.count:
            raise ValueError(f"expected the views of {result.count} networks, found {result.views!r:.40}")
    said: dict[str, Any] = dict(result.origins)  # as JSON has them
    return replace(result, origins={kind: Origin(**origin) for kind, origin in said.items()})


def _parts(views: str) -> list[tuple[int, int]]:
    """Views and objects of each part of a text; ValueError: it is another one."""
    parts = [part.split("x") for part in views.split()]
    return [(int(count), int(objects)) for count, objects in parts]
