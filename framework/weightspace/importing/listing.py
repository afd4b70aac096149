"""Listings of networks to import: one entry per network, known before any weights are read."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.errors import ZooError
from weightspace.files.names import in_order, split_called
from weightspace.files.walk import most_frequent
from weightspace.importing.target_file import TargetFile
from weightspace.spec import NetworkSpec
from weightspace.zoo.header import SPLITS


@dataclass(frozen=True)
class Entry:
    """The entry of one network in a listing.

    Args:
        name: its location below the imported folder, which messages show.
        object: key of the object that it represents.
        view: key of its neural view.
        label: its class or value as text; None: the label is in the file.
        split: one of ``SPLITS``; None: not yet assigned.
    """

    name: str
    object: str
    view: str = "0"
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A network that is left out of the zoo, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Contents:
    """The contents of one network's file: tensors W_1, b_1, W_2, ... of its layers, a label if there is one, and its
    entries in the listing's columns of quality.
    """

    tensors: list[Tensor]
    label: Any = None
    quality: Sequence[float] = ()


class Listing(ABC):
    """The networks to import from a folder or file; each import format has a subclass.

    Attributes:
        entries: networks that can be imported so far.
        left_out: networks that cannot be imported.
        not_networks: (name, reason) of files that were ignored, for instance because they are hidden.
        quality: names of the columns of quality that the files have.
        target: kind and names of the targets, where the format defines them.
        notes: entries of the zoo's provenance.
    """

    #: Whether a split by counts takes objects in their order (the last ones for the test) instead of at random.
    ordered = False
    #: The file that says the architecture.
    described_in = "spec.json"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: list[Entry] = []
        self.left_out: list[LeftOut] = []
        self.not_networks: list[tuple[str, str]] = []
        self.quality: Sequence[str] = ()
        self.target: TargetFile | None = None
        self.notes: dict[str, Any] = {}

    def architecture(self) -> NetworkSpec | None:
        """The architecture, where a file says it; None: it is derived from the networks.

        Raises:
            ZooError: the file cannot be read.
        """
        return None

    @abstractmethod
    def read(self, entry: Entry) -> Contents:
        """Reads the file of one network.

        Raises:
            ValueError: the network cannot be read; the message is the reason.
        """

    @abstractmethod
    def contents(self) -> Iterator[bytes]:
        """What the files of the networks hold, or digests of that, in the order of the entries."""

    def leave(self, name: str, reason: str) -> None:
        """Records that a network is left out."""
        self.left_out.append(LeftOut(name, reason))

    def divide(self, val: int, test: int, seed: int) -> None:
        """Assigns objects to the splits that the files do not define, by counts.

        Raises:
            ZooError: there are no networks, the counts are too large, or the files already define these splits.
        """
        for name, count in (("val", val), ("test", test), ("seed", seed)):
            check_whole(name, count, low=0, error=ZooError)
        if not self.entries:
            left_out = [(network.name, network.reason) for network in self.left_out]
            raise ZooError(f"no network to import at {self.root}: {most_frequent(left_out + self.not_networks)}")
        there = {entry.split for entry in self.entries}
        if None in there and len(there) > 1:
            missing = sum(entry.split is None for entry in self.entries)
            raise ZooError(f"{self.root}: {missing} of {len(self.entries)} networks have no split")
        if (val and "val" in there) or (test and "test" in there):
            raise ZooError(
                f"{self.root} says which networks are for test and validation: leave val and test out, or give the "
                "one that it does not have"
            )
        drawn = bool(val or test)
        if seed and (self.ordered or not drawn):
            raise ZooError(
                f"seed {seed} has no effect: no validation or test objects are drawn at random; leave it out"
            )
        if None in there or drawn:
            self._draw(val, test, seed)

    def _draw(self, val: int, test: int, seed: int) -> None:
        objects = list(in_order(entry.object for entry in self.entries if entry.split in (None, "train")))
        if val + test >= len(objects):
            raise ZooError(f"val {val} and test {test} leave none of {len(objects)} objects for training")
        if not self.ordered:
            objects = [objects[i] for i in np.random.default_rng(seed).permutation(len(objects))]
        train = len(objects) - val - test
        parts = {"train": objects[:train], "val": objects[train : train + val], "test": objects[train + val :]}
        split = {key: name for name, keys in parts.items() for key in keys}
        self.entries = [
            replace(entry, split=split[entry.object]) if entry.split in (None, "train") else entry
            for entry in self.entries
        ]

    def sort_and_deduplicate(self, kind: str = "class") -> None:
        """Sorts the entries by split, object and view, and leaves out all but the first of each view of an object.

        Args:
            kind: kind of the target: all views of an object have one class, but each may have its own "value".

        Raises:
            ZooError: an object is in two splits or has two labels.
        """
        self._check("split", lambda entry: entry.object)
        self._check("label", (lambda entry: entry.object) if kind == "class" else lambda e: (e.object, e.view))
        seen: dict[tuple[str, str], Entry] = {}
        for entry in self.entries:
            first = seen.setdefault((entry.object, entry.view), entry)
            if first is not entry:
                twice = "listed twice" if first.name == entry.name else f"the same object and view as {first.name}"
                self.leave(entry.name, f"duplicate: {twice}")
        objects, views = self.object_ids, self.view_ids
        self.entries = sorted(
            seen.values(), key=lambda e: (SPLITS.index(e.split or "train"), objects[e.object], views[e.view])
        )

    def _check(self, what: str, of: Callable[[Entry], Hashable]) -> None:
        """Checks that entries of one object (or view) have the same split or label."""
        first: dict[Hashable, Entry] = {}
        for entry in self.entries:
            other = first.setdefault(of(entry), entry)
            values = getattr(other, what), getattr(entry, what)
            if values[0] != values[1] and set(values) != {"train", "internal"}:
                both = f"with the {what}s {values[0]!r} and {values[1]!r}"
                if other.name == entry.name:
                    raise ZooError(f"{entry.name} is listed twice, {both}")
                raise ZooError(
                    f"{other.name} and {entry.name} would be of one object, {both}: give the position of the view in "
                    "the path by view_from, as 'view_{view}/', or 'none' if each network is of another object"
                )

    @cached_property
    def object_ids(self) -> dict[str, int]:
        """Number of each object: its key if all keys are numbers, else its position in natural order."""
        return numbered(entry.object for entry in self.entries)

    @cached_property
    def view_ids(self) -> dict[str, int]:
        """Number of each view: its key if all keys are numbers, else its position in natural order."""
        return numbered(entry.view for entry in self.entries)

    @cached_property
    def digest(self) -> str:
        """sha256 of the entries and of what their files hold, which identifies an import."""
        content = hashlib.sha256()
        for entry in self.entries:
            content.update(repr(entry).encode())
        for part in self.contents():
            content.update(part)
        return content.hexdigest()


def numbered(keys: Iterable[str]) -> dict[str, int]:
    """Numbers keys by their values if these are different whole numbers, else by natural order.

    >>> numbered(["7", "12"]), numbered(["view_10", "view_9"])
    ({'7': 7, '12': 12}, {'view_9': 0, 'view_10': 1})
    """
    ordered = in_order(keys)
    if all(key.isascii() and key.isdigit() and len(key) < 19 for key in ordered):
        own = {key: int(key) for key in ordered}
        if len(set(own.values())) == len(own):
            return own
    return {key: number for number, key in enumerate(ordered)}


def split_name(name: str, where: Path) -> str:
    """Converts the name of a split in a file to one of ``SPLITS``.

    Raises:
        ZooError: the name is unknown.
    """
    found = split_called(name.strip())
    if found is None:
        raise ZooError(f"{where}: unknown split {name!r}, expected {', '.join(SPLITS)}")
    return found
