"""Importing the networks of a listing into a zoo on disk."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.importing.chain import Chain, chain_of, check_fits
from weightspace.importing.labels import Labels
from weightspace.importing.listing import Entry, Listing
from weightspace.spec import NetworkSpec
from weightspace.version import __version__
from weightspace.zoo.header import SPLITS, ZooHeader
from weightspace.zoo.shard import rows_per_shard
from weightspace.zoo.splits import evenly_spaced
from weightspace.zoo.writer import ZooWriter

#: Number of networks that are read to find the most common architecture.
SAMPLE = 15


@dataclass(frozen=True)
class Progress:
    """State of a running import: networks read, networks planned, and networks left out so far."""

    done: int
    total: int
    left_out: int


@dataclass(frozen=True)
class _Network:
    """A network that fits: (P,) parameters, its target, and its entries in the columns of quality."""

    params: Tensor
    target: list[float]
    quality: Sequence[float]
    entry: Entry


class ZooImport:
    """Imports the networks of a listing into a zoo, shard by shard.

    Args:
        listing: networks with their splits, sorted and without duplicates.
        spec: architecture of the networks; networks with another one are left out.
        out: folder of the zoo.
        kind: kind of the targets: "class", or "value" for numbers.
        names: names of all classes in their order, or of the numbers; empty: taken from the labels.
        arguments: arguments of the import that determine its bytes, for the provenance.
        notes: further entries of the provenance.
        strict: raise an error for the first network that does not fit.

    Raises:
        ZooError: a label is none of the given names.
    """

    def __init__(
        self,
        listing: Listing,
        spec: NetworkSpec,
        out: str | Path,
        kind: str,
        arguments: dict[str, Any],
        notes: dict[str, Any],
        strict: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        self.listing, self.spec, self.strict = listing, spec, strict
        self.labels = Labels(kind, names, listing.entries)
        self._seen: dict[bytes, str] = {}
        target = {"kind": kind, "names": self.labels.names}
        arguments = {**arguments, "target_names": list(names)} if names else arguments
        job = {**arguments, "listing": listing.digest, "spec": spec.to_json(), "kind": kind,
               "versions": {"weightspace": __version__, "torch": torch.__version__}}  # fmt: skip
        self.shard_rows = rows_per_shard(spec)
        not_networks = [{"path": path, "reason": reason} for path, reason in listing.not_networks]
        provenance = {**job, **notes, **({"skipped": not_networks} if not_networks else {})}
        self.writer = ZooWriter(out, job, ZooHeader(spec, target, list(listing.quality), provenance, shards=[]))

    def __len__(self) -> int:
        return len(self.listing.entries)

    def run(self, report: Callable[[Progress], None]) -> ZooHeader:
        """Imports the missing networks.

        Args:
            report: called with the progress so far at the start, then after every few networks.

        Raises:
            ZooError: the folder cannot be written or contains something else, or a network does not fit (``strict``).
        """
        if self.strict and self.listing.left_out:
            first = self.listing.left_out[0]
            raise ZooError(
                f"strict: {len(self.listing.left_out)} networks do not fit, first {first.name}: {first.reason}"
            )
        self.writer.sizes = [len(entries) for entries in self._parts()]
        with self.writer as writer:
            if writer.finished:
                report(Progress(len(self), len(self), 0))
                return ZooHeader.read(writer.path)
            for number, entries in enumerate(self._parts()):
                if number in writer.done:
                    self._remember(number)
                else:
                    writer.write(*self._shard(number, entries, report), number)
                left_out = sum(map(len, writer.left_out.values()))
                report(Progress(min(len(self), (number + 1) * self.shard_rows), len(self), left_out))
            if not self.labels.names:
                names = [str(number) for number in range(1 + max(map(self._largest_target, writer.done)))]
                writer.header = replace(writer.header, target={"kind": "class", "names": names})
            return writer.finish()

    def _parts(self) -> Iterator[list[Entry]]:
        for begin in range(0, len(self), self.shard_rows):
            yield self.listing.entries[begin : begin + self.shard_rows]

    def _shard(
        self, number: int, entries: list[Entry], report: Callable[[Progress], None]
    ) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        left_out = [
            {"path": network.name, "reason": network.reason} for network in self.listing.left_out if number == 0
        ]
        kept: list[_Network] = []
        for place, entry in enumerate(entries):
            try:
                kept.append(self._network(entry))
            except ValueError as error:
                left_out.append({"path": entry.name, "reason": str(error)})
                if self.strict:
                    raise ZooError(f"strict: {entry.name} does not fit: {error}") from error
            if place % 256 == 255:
                earlier = sum(map(len, self.writer.left_out.values()))
                report(Progress(number * self.shard_rows + place + 1, len(self), earlier + len(left_out)))
        return self._tensors(kept), left_out

    def _network(self, entry: Entry) -> _Network:
        """Reads a network.

        Raises:
            ValueError: the network does not fit; the message is the reason.
        """
        contents = self.listing.read(entry)
        check_fits(contents.tensors, self.spec)
        params = torch.cat([tensor.reshape(-1).to(torch.float32) for tensor in contents.tensors])
        if not params.isfinite().all():
            raise ValueError("weights that are not finite")
        target = self.labels.target(entry, contents)
        place = f"object {self.listing.object_ids[entry.object]}, view {self.listing.view_ids[entry.view]}"
        first = self._seen.setdefault(_fingerprint(params), place)
        if first != place:
            raise ValueError(f"duplicate: the same weights as {first}")
        return _Network(params, target, contents.quality, entry)

    def _tensors(self, kept: list[_Network]) -> dict[str, Tensor]:
        objects, views, entries = self.listing.object_ids, self.listing.view_ids, [network.entry for network in kept]
        quality = torch.tensor([network.quality for network in kept], dtype=torch.float32)
        return {
            "params": torch.stack([n.params for n in kept]) if kept else torch.empty(0, self.spec.num_params),
            "target": self.labels.tensor([network.target for network in kept]),
            "object": torch.tensor([objects[entry.object] for entry in entries], dtype=torch.int64),
            "view": torch.tensor([views[entry.view] for entry in entries], dtype=torch.int64),
            "split": torch.tensor([SPLITS.index(str(entry.split)) for entry in entries], dtype=torch.uint8),
            "quality": quality.reshape(len(kept), len(self.listing.quality)),
        }

    def _remember(self, number: int) -> None:
        """Records the networks of a shard written by an earlier run, to detect duplicates."""
        params, objects, views = self._columns(number, "params", "object", "view")
        for row, item, view in zip(params, objects.tolist(), views.tolist(), strict=True):
            self._seen[_fingerprint(row)] = f"object {item}, view {view}"

    def _largest_target(self, number: int) -> int:
        (targets,) = self._columns(number, "target")
        return int(targets.max()) if len(targets) else 0

    def _columns(self, number: int, *names: str) -> list[Tensor]:
        path = self.writer.path / "shards" / self.writer.done[number].file
        with safetensors.safe_open(path, framework="pt") as file:
            return [file.get_tensor(name) for name in names]


def common_chain(listing: Listing) -> Chain:
    """The most common widths, and layers with biases, among a sample of the networks.

    Raises:
        ZooError: none of them can be read; the message gives a reason.
    """
    found: Counter[Chain] = Counter()
    reason = ""
    sample = evenly_spaced(len(listing.entries), SAMPLE).tolist()
    for row in sample:
        try:
            found[chain_of(listing.read(listing.entries[row]).tensors)] += 1
        except ValueError as error:
            reason = f"{listing.entries[row].name}: {error}"
    if not found:
        raise ZooError(f"none of {len(sample)} networks of {listing.root} can be read, for instance {reason}")
    return found.most_common(1)[0][0]


def _fingerprint(params: Tensor) -> bytes:
    return hashlib.blake2b(params.numpy().tobytes(), digest_size=16).digest()
