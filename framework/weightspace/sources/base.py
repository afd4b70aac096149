"""Objects to fit networks to, and the registry that finds them by name."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

from weightspace.constructed import check_constructed
from weightspace.entry_points import SOURCES, choices, gives, load_plugin
from weightspace.errors import SourceError
from weightspace.progress import Display
from weightspace.text import listed, shown

#: Objects, and points of each, that a source can be asked for: more are a mistake, or a file's claim.
MOST_OBJECTS, MOST_POINTS = 10_000_000, 1_000_000


class Objects(ABC):
    """A numbered collection of objects, one of which each network of a zoo stores or has learnt.

    Object i is the same in every process and every run: ``load_source`` gives the same objects for the same arguments,
    and ``digest`` shows whether it did. The training pool comes first, then the source's own validation and test sets,
    where it has them.

    Attributes:
        name: entry-point name, kept in a zoo's provenance.
        arguments: what ``load_source`` was called with (so that a zoo can find its source again).
        class_names: one name per class; None: the targets are numbers.
        target_names: names of these numbers, if there are no classes.
        num_train: how many of the n objects belong to the training pool; n if there is nothing else.
        num_val: how many belong to the source's own validation set.
        in_dim: number of inputs of a network.
        out_dim: number of its outputs.
        left_out: (name, reason) of what the source's files contain but the source does not use.
        license: under which the objects may be used, as an SPDX identifier; "": not stated.
        attribution: whose work the objects are, in one line; "": not stated.
        groups: (n,) int64; objects of one number are near-copies, and come into one split. None: there are none.
        stratified: whether classes come into splits in proportion; with groups, they do.
        most_views: views that an object can have; None: any number.
        codes: what the numbers in columns of quality stand for, by the name of the column.
    """

    name: str
    arguments: dict[str, Any]
    class_names: tuple[str, ...] | None
    target_names: tuple[str, ...] = ()
    num_train: int
    num_val: int = 0
    in_dim: int
    out_dim: int
    left_out: tuple[tuple[str, str], ...] = ()
    license: str = ""
    attribution: str = ""
    groups: np.ndarray | None = None
    stratified: bool = False
    most_views: int | None = None
    codes: Mapping[str, list[str]] = MappingProxyType({})

    @abstractmethod
    def __len__(self) -> int: ...

    def __repr__(self) -> str:
        kind, names = ("classes", self.class_names) if self.class_names else ("targets", self.target_names)
        known = listed([shown(name, 40) for name in names], most=10)
        return (
            f"{type(self).__name__} {self.name!r}: {len(self):,} objects "
            f"({self.num_train:,} train, {self.num_val:,} val, {self.num_test:,} test); "
            f"inputs {self.in_dim}, outputs {self.out_dim}; {kind}: {known}"
        )

    @property
    def num_test(self) -> int:
        """Size of the source's own test set (0: it has none)."""
        return len(self) - self.num_train - self.num_val

    @property
    @abstractmethod
    def digest(self) -> str:
        """sha256 of what decides the objects and their groups: equal digests mean equal objects."""

    def prepare(self, objects: Tensor, display: Display) -> None:  # noqa: B027 - most sources have nothing to do
        """Called once, before networks are fitted to objects: what takes long can be computed here, with progress.

        Args:
            objects: numbers of those that this process will fit, perhaps several times each.
            display: where progress is shown.
        """


class Source(Objects):
    """Labelled objects, each a function from coordinates to values that is known at some points.

    Attributes:
        targets: (n,) int64, indices into ``class_names``; or (n, T) float32, if there are no classes.
        uniform: for solids, how many points, from the first, lie evenly in the cube, so that they measure volumes; a
            point is inside where its value is above one half. 0: the objects are no solids.
    """

    targets: np.ndarray
    uniform: int = 0

    def __len__(self) -> int:
        return len(self.targets)

    @abstractmethod
    def points(self, objects: Tensor) -> Tensor:
        """Coordinates in [-1, 1]: (N, d) float32, if all objects have the same, else (len(objects), N, d)."""

    @abstractmethod
    def values(self, objects: Tensor) -> Tensor:
        """(len(objects), N, C) float32 in [0, 1] at the points. Depends on nothing but the objects' numbers."""

    def observations(self, objects: Tensor) -> tuple[Tensor, Tensor]:
        """``points`` and ``values`` together; a source that can share work between them overrides it."""
        return self.points(objects), self.values(objects)


def find_source(name: str) -> Callable[..., Objects]:
    """The function behind a name in the entry-point group ``weightspace.sources``, or a dotted path.

    Raises:
        SourceError: no such name (the message lists the known ones), or it cannot be imported.
    """
    if not isinstance(name, str):
        raise SourceError(f"a source is given by its name or dotted path, found {name!r:.100}")
    function: Callable[..., Objects] = load_plugin(SOURCES, name, SourceError, kind="source")
    if name not in choices(SOURCES) and ":" not in name and not gives(function, Objects):
        raise SourceError(
            f"source {name!r}: expected a class derived from weightspace.sources.Objects, or a function whose return "
            f"annotation says that it gives one, found {function!r}"
        )
    return function


def load_source(name: str, **arguments: Any) -> Objects:
    """Loads a source by its entry-point name, ``distribution:name`` or dotted path.

    Raises:
        SourceError: unknown name, wrong arguments, or files that are missing or damaged.
    """
    function = find_source(name)
    signature = inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no arguments"
        raise SourceError(f"source {name!r}: {error}; it takes {takes}") from error
    try:
        source = function(**arguments)
        check_constructed(source, SourceError, f"source {name!r}")
        if ":" in name or "." in name:
            object.__setattr__(source, "name", name)  # of frozen classes too: what provenance says must find it again
        return source
    except TypeError as error:
        raise SourceError(f"source {name!r} does not take these arguments {arguments}: {error}") from error
