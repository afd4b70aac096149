"""Reading the stored alignment of a zoo: the class ``ZooAlignment``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import ZooError, closest
from weightspace.files import read_regular
from weightspace.symmetry import GroupElement, group_name, unpack_element
from weightspace.zoo.alignment.elements import LIMIT, check_content, from_tensors, read_part
from weightspace.zoo.alignment.header import FILE, FOLDER, REFERENCE, AlignmentHeader, align_command
from weightspace.zoo.header import ZooHeader, digest
from weightspace.zoo.selection import Index, positions


class ZooAlignment:
    """For each network of a zoo the symmetry that brings it into the frame of a reference network, read-only.

    ``zoo.alignment()`` opens it, ``align_zoo`` or ``weightspace zoo align`` make it.

    Args:
        zoo: folder of the zoo.
        zoo_header: its ``zoo.json``.
        zoo_digest: sha256 of that file.
        name: of the alignment.

    Attributes:
        path: folder of the alignment.
        header: ``alignment.json``: reference, group, versions and checksums.

    Raises:
        ZooError: there is none of this name, it is damaged, or the zoo has changed since it was made.
    """

    def __init__(self, zoo: Path, zoo_header: ZooHeader, zoo_digest: str, name: str) -> None:
        self.path, self.name = zoo / FOLDER / name, name
        self.spec, self._shards = zoo_header.spec, zoo_header.shards
        self.header = AlignmentHeader.read(self.path)
        again = self.header.command(zoo, name, self.spec.symmetries)
        if self.header.zoo != zoo_digest:
            raise ZooError(
                f"the alignment {name!r} of {zoo} was made before the zoo changed (it was repaired, or written "
                f"again), and may be of other networks: run `{again}` again"
            )
        if [(part.file, part.rows) for part in self.header.parts] != [(s.file, s.rows) for s in self._shards]:
            raise ZooError(f"{self.path / FILE} lists other files or networks than {zoo}: run `{again}` again")

    def __repr__(self) -> str:
        before, after = (self.header.distance[when] for when in ("before", "after"))
        return (
            f"ZooAlignment {self.name!r} to {self.header.reference['to']} under {group_name(self.header.group)}: "
            f"mean squared distance {after:.4g}, unaligned {before:.4g}"
        )

    @property
    def digest(self) -> str:
        """Digest of all that the alignment is, including the checksums of its files."""
        return digest({"text": self.header.to_text()})

    @cached_property
    def reference(self) -> WeightBatch:
        """The reference, a batch of one network.

        Raises:
            ZooError: its file is missing or damaged.
        """
        path = self.path / REFERENCE
        try:
            content = read_regular(path, LIMIT)
        except OSError as error:
            raise ZooError(f"{path} cannot be read: {error.strerror or error}") from error
        check_content(path, content, None, self.header.reference_sha256)
        params = read_part(path).get("params")
        if params is None or tuple(params.shape) != (1, self.spec.num_params) or not params.isfinite().all():
            raise ZooError(f"{path} does not hold a network {self.spec}")
        return WeightBatch(params, self.spec)

    def frames(self, rows: Tensor) -> Tensor:
        """(len(rows), F) int32 packed elements of these rows of the zoo, as ``WeightBatch.frame`` takes them.

        Args:
            rows: (n,) int64; the files with these rows are read and checked once.

        Raises:
            IndexError: a row that the zoo does not have.
            ZooError: a file is missing or damaged.
        """
        begins = np.cumsum([0, *(part.rows for part in self.header.parts)])
        wanted = rows.numpy()
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < begins[-1]:
            raise IndexError(f"{self.path} has rows 0..{begins[-1] - 1}, asked for {wanted.min()}..{wanted.max()}")
        numbers = np.searchsorted(begins, wanted, side="right") - 1
        found: Tensor | None = None
        for number in np.unique(numbers):
            chosen = np.flatnonzero(numbers == number)
            part = self.part(int(number))
            found = part.new_empty(len(wanted), part.shape[1]) if found is None else found
            found[torch.from_numpy(chosen)] = part[torch.from_numpy(wanted[chosen] - begins[number])]
        return torch.empty(0, sum(self.spec.widths[1:-1]), dtype=torch.int32) if found is None else found

    def element(self, index: Index) -> GroupElement:
        """The elements of some networks: ``alignment.element(rows).apply(zoo[rows])`` is in the reference's frame.

        Args:
            index: a number, a slice, a list or tensor of numbers, or a mask, as a zoo takes it.

        Raises:
            IndexError: there is no such network.
            TypeError: something that is no index.
            ZooError: a file is missing or damaged.
        """
        count = sum(part.rows for part in self.header.parts)
        return unpack_element(self.frames(positions(index, count, str(self.path))), self.spec)

    def part(self, number: int) -> Tensor:
        """(n, F) int32 packed elements of the networks of one shard, after all checks."""
        return from_tensors(self.tensors(number), self.spec, self.header.group, self.path / self._shards[number].file)

    def tensors(self, number: int) -> dict[str, Tensor]:
        """What the file of one shard holds: parts of elements, and squared distances before and after (n, 2)."""
        entry = self.header.parts[number]
        tensors = read_part(self.path / entry.file, entry)
        if "distance" not in tensors or tuple(tensors["distance"].shape) != (entry.rows, 2):
            raise ZooError(f"{self.path / entry.file} does not hold the elements of {entry.rows} networks")
        return tensors


def names(zoo: Path) -> list[str]:
    """Names of the finished alignments in the folder of a zoo."""
    return sorted(path.parent.name for path in (zoo / FOLDER).glob(f"*/{FILE}"))


def choose_name(zoo: Path, name: str | None) -> str:
    """The name of the alignment that is meant.

    Args:
        zoo: folder of the zoo.
        name: None: the only one.

    Raises:
        ZooError: there is none, none of this name, or several and no name.
    """
    found = names(zoo)
    if not found:
        hint = align_command(zoo, "mean")
        raise ZooError(f"{zoo} has no stored alignment: make one with `{hint}`, or align_zoo in Python")
    if name is None and len(found) > 1:
        raise ZooError(
            f"{zoo} has {len(found)} stored alignments ({', '.join(found)}): say which, for instance "
            f"`stored: {found[0]}` of mixup_aligned, `alignment: {found[0]}` of Canonical, or "
            f"zoo.alignment({found[0]!r}) in Python"
        )
    if name is not None and name not in found:
        raise ZooError(f"{zoo} has no stored alignment {name!r}: {closest(name, found)}")
    return found[0] if name is None else name
