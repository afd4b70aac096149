"""The import format ``small-cnn-zoo``: the Small CNN Zoo of Unterthiner et al., arXiv 2002.11448, as published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weightspace.activations import ACTIVATIONS
from weightspace.checks import check_choice
from weightspace.errors import ZooError, closest
from weightspace.files import open_regular
from weightspace.files.reading import reading
from weightspace.importing.listing import Contents, Entry, Listing
from weightspace.importing.metrics_table import Metrics, read_metrics
from weightspace.importing.row_layout import LAYOUT, RowLayout, read_layout
from weightspace.importing.spec_file import SPEC, read_spec
from weightspace.importing.target_file import TargetFile
from weightspace.importing.training_columns import PROGRESS, RESULTS, TrainingColumns, training_columns
from weightspace.spec import NetworkSpec

#: Name of the matrix, and with what such a file begins.
WEIGHTS, MAGIC = "weights.npy", b"\x93NUMPY"
#: Column of the table that says which training a network is of.
TRAINING = "modeldir"


class SmallCNNListing(Listing):
    """The rows of a memory-mapped matrix, one network each.

    Args:
        root: the folder.
        weights: (n, P) in the layout's order.
        order: (P,) places in a row of the numbers of the flat vector.
        spec: their architecture.
        columns: of quality.
    """

    described_in = "metrics.csv and layout.csv"

    def __init__(
        self, root: Path, weights: np.ndarray, order: np.ndarray, spec: NetworkSpec, columns: TrainingColumns
    ) -> None:
        super().__init__(root)
        self.weights, self.order, self.spec, self.columns = weights, order, spec, columns
        self.quality = columns.names

    def architecture(self) -> NetworkSpec:
        """The architecture that layout and table describe."""
        return self.spec

    def read(self, entry: Entry) -> Contents:
        """Reads one row of the matrix."""
        row = self._row(entry)
        with np.errstate(over="ignore"):  # overflows become infinite and are reported as such
            vector = torch.from_numpy(self.weights[row][self.order].astype(np.float32))
        return Contents(list(self.spec.unpack(vector).values()), quality=self.columns.values[row].tolist())

    def contents(self) -> Iterator[bytes]:
        """The rows of the networks, and their quality."""
        for entry in self.entries:
            yield self.weights[self._row(entry)].tobytes()
        yield repr(self.quality).encode() + self.columns.values.tobytes()

    @staticmethod
    def _row(entry: Entry) -> int:
        return int(entry.name.removeprefix("row "))


def small_cnn_zoo(
    root: Path, where: Mapping[str, Any] | None = None, target: str = "test_accuracy", spec: str | None = None
) -> Listing:
    """Lists the networks of a folder with ``weights.npy``, ``metrics.csv`` (or ``.csv.gz``) and ``layout.csv``.

    An object is a training, its views are checkpoints, of which view 0 is the last.

    Args:
        root: the folder.
        where: values of columns of the table that the networks must have.
        target: the column that becomes the target, one of ``RESULTS``.
        spec: the JSON file of the architecture; default ``spec.json`` in the folder, if it exists, else the published
            one: strides of 2, no padding, the mean over the last map.

    Raises:
        ConfigError: an unknown target, or a form of ``where`` other than values by column.
        ZooError: a file is missing, damaged or pickled, the files do not match, or the networks that are selected have
            different activations.
    """
    if not root.is_dir():
        raise ZooError(f"{root}: expected a folder with {WEIGHTS}, {LAYOUT} and metrics.csv")
    check_choice("target", target, RESULTS)
    layout = read_layout(root / LAYOUT)
    weights = _weights(root / WEIGHTS, layout)
    metrics = read_metrics(root, len(weights))
    labels = metrics[target]
    rows = metrics.select(where or {})
    architecture = _architecture(root, layout, _activation(metrics, rows), spec)
    listing = SmallCNNListing(root, weights, layout.order(architecture), architecture, training_columns(metrics, rows))
    listing.target = TargetFile("value", (target.replace("_", " "),))
    listing.notes = {**listing.columns.notes, **({"selected": {k: str(v) for k, v in where.items()}} if where else {})}
    for row, training, view in _views(listing, metrics, rows):
        listing.entries.append(Entry(f"row {row}", training, str(view), labels.values[labels.rows[row]]))
    return listing


def _views(listing: Listing, metrics: Metrics, rows: np.ndarray) -> Iterator[tuple[int, str, int]]:
    """Yields (row, training, view): the checkpoints of a training from the last to the first."""
    trainings = metrics[TRAINING]
    steps = metrics[next((name for name in PROGRESS if name in metrics.columns), PROGRESS[0])]
    assert steps.numbers is not None, "training_columns has read it"
    when, which = steps.numbers[steps.rows[rows]], trainings.rows[rows]
    before, view, first = (-1, np.nan), -1, -1
    for place in np.lexsort((-when, which)):
        row, here = int(rows[place]), (int(which[place]), float(when[place]))
        training = trainings.values[here[0]]
        if not training or not np.isfinite(here[1]):
            listing.leave(f"row {row}", f"no {PROGRESS[0] if training else TRAINING}")
        elif here == before:
            listing.leave(f"row {row}", f"duplicate: the same training and step as row {first}")
        else:
            view = view + 1 if here[0] == before[0] else 0
            before, first = here, row
            yield row, training, view


def _activation(metrics: Metrics, rows: np.ndarray) -> str:
    """The activation of all selected networks.

    Raises:
        ZooError: they have several, or one that networks of a zoo cannot have.
    """
    counts = metrics["activation"].counts(rows)
    if len(counts) > 1:
        found = ", ".join(f"{count:,} {name or '(none)'}" for name, count in counts.items())
        known = next((name for name in counts if name in ACTIVATIONS), next(iter(counts)))
        raise ZooError(
            f"{metrics.path}: networks of one zoo have one activation, and the {len(rows):,} that are selected have "
            f"several: {found}; choose one by where activation={known}"
        )
    (name,) = counts
    if name not in ACTIVATIONS:
        raise ZooError(f"{metrics.path}: unknown activation {name!r}: {closest(name, ACTIVATIONS)}")
    return name


def _architecture(root: Path, layout: RowLayout, activation: str, given: str | None) -> NetworkSpec:
    file = Path(given).expanduser() if given else root / SPEC
    if given is None and not file.is_file():
        return layout.spec(activation)
    found = read_spec(file)
    if found.activation != activation:
        raise ZooError(f"{file} says that the activation is {found.activation}, the networks have {activation}")
    return found


def _weights(path: Path, layout: RowLayout) -> np.ndarray:
    """The matrix, memory-mapped: rows are read when they are needed."""

    def refuse(error: Exception) -> ZooError:
        if "Python objects" in str(error):
            return ZooError(f"{path} holds pickled objects, which can run any code, and is not read: save floats")
        return ZooError(f"{path} cannot be read as an array: {getattr(error, 'strerror', None) or error}")

    with reading(refuse):
        with open_regular(path) as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ZooError(f"{path}: expected an array as numpy.save writes it, found something else")
        found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    shape = f"{found.dtype} {found.shape}"
    if found.ndim != 2 or found.dtype.kind != "f":
        raise ZooError(f"{path}: expected a matrix of real numbers, a row for each network, found {shape}")
    if found.shape[1] != layout.width:
        raise ZooError(f"{path}: {layout.path} describes {layout.width:,} numbers for each network, found {shape}")
    return found
