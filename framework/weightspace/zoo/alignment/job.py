"""The job behind ``align_zoo``: passes over the shards of a zoo, each part written before the next one begins."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import SpecError, ZooError
from weightspace.files import write_whole
from weightspace.files.sealed import seal
from weightspace.progress import Display, Report
from weightspace.symmetry import align, pack_element, resolve_group, solver, squared_distance
from weightspace.symmetry.assignment import solver_version
from weightspace.version import __version__
from weightspace.zoo.alignment.elements import read_part, to_bytes
from weightspace.zoo.alignment.header import FILE, FOLDER, REFERENCE, AlignmentHeader
from weightspace.zoo.alignment.reference import Reference
from weightspace.zoo.alignment.store import ZooAlignment
from weightspace.zoo.alignment.words import differences
from weightspace.zoo.disk_errors import disk_errors
from weightspace.zoo.header import SPLITS, ShardEntry
from weightspace.zoo.lock import ZooLock
from weightspace.zoo.resumable import resumable
from weightspace.zoo.schema import TEXT_LIMIT, parse
from weightspace.zoo.store import Zoo

#: The description of an unfinished job, and the folder with its sums of aligned networks.
JOB, ROUNDS = "job.json", "rounds"
UNFINISHED = "an unfinished alignment"


class AlignmentJob:
    """Aligns a zoo to a reference.

    A mean takes a pass over the training networks for each round: every shard leaves the sum of its aligned networks in
    a file, and the next reference is the sum of these sums, in the order of the shards. A last pass writes the elements
    of all networks. A job that was cut keeps the files that are whole, and ends in the same elements.

    Args:
        zoo: the zoo.
        reference: what is aligned to, or the network that a mean starts from.
        name: of the alignment.
        group: "auto", or one of ``weightspace.symmetry.GROUPS``.
        sweeps: of ``align``.
        device: on which networks are aligned.
        display: shows the progress.
    """

    def __init__(
        self, zoo: Zoo, reference: Reference, name: str, group: str, sweeps: int, device: str, display: Display
    ) -> None:
        self.zoo, self.reference, self.name = zoo, reference, name
        self.group, self.sweeps, self.device, self.display = group, sweeps, device, display
        self.folder = zoo.path / FOLDER / name
        self.shards = zoo.header.shards
        self.begins = np.cumsum([0, *(entry.rows for entry in self.shards)]).tolist()
        self.training = (zoo.splits == SPLITS.index("train")).split([entry.rows for entry in self.shards])

    def run(self, overwrite: bool) -> ZooAlignment:
        """Makes the alignment, or what is missing of it.

        Raises:
            ZooError: the folder cannot be written, or holds another alignment; or a network cannot be aligned.
        """
        lock = ZooLock(self.zoo.path)
        try:
            with (
                resumable(f"{self.folder} keeps what is done"),
                disk_errors(f"{self.folder} cannot be written", "what is done is kept"),
            ):
                lock.acquire()
                if self._is_finished(overwrite):
                    self.display.say("aligned already: nothing to do")
                else:
                    self._begin(overwrite)
                    self._align()
        finally:
            lock.release()
        found = ZooAlignment(self.zoo.path, self.zoo.header, self.zoo.digest, self.name)
        self.display.say(f"{found!r}, in {found.path}")
        return found

    def job(self) -> dict[str, Any]:
        """All that decides the elements."""
        name = solver()
        versions = {"weightspace": __version__, "torch": torch.__version__, name: solver_version(name)}
        return {"zoo": self.zoo.digest, "reference": self.reference.description, "sweeps": self.sweeps,
                "group": sorted(resolve_group(self.group, self.zoo.spec)), "solver": name,
                "device": str(self.device), "versions": versions}  # fmt: skip

    def _is_finished(self, overwrite: bool) -> bool:
        """Whether this alignment is there already.

        Raises:
            ZooError: another one of this name is there, of the zoo as it is now, and may not be replaced.
        """
        if overwrite or not (self.folder / FILE).exists():
            return False
        try:
            there = asdict(AlignmentHeader.read(self.folder))
        except ZooError as error:
            raise ZooError(f"{error}. Replace it: --overwrite true, or overwrite=True in Python") from error
        return there["zoo"] == self.zoo.digest and self._agrees(there, ("reference", "group", "sweeps"), "an alignment")

    def _agrees(self, there: dict[str, Any], keys: tuple[str, ...], what: str) -> bool:
        asked = json.loads(json.dumps(self.job()))
        lines = differences(there, asked, keys)
        if lines:
            listed = "".join(f"\n  {line}" for line in lines)
            raise ZooError(
                f"{self.folder} holds {what} that is another one:{listed}\ngive this one another name (--name "
                f"{self._free_name()}, or name=... in Python), or replace that one (--overwrite true, or "
                "overwrite=True in Python)"
            )
        return True

    def _free_name(self) -> str:
        """A name like that of this alignment, which the zoo does not have yet."""
        tried = (f"{self.name[:60]}-{number}" for number in itertools.count(2))
        return next(name for name in tried if not self.folder.with_name(name).exists())

    def _begin(self, overwrite: bool) -> None:
        """Takes over an unfinished job of the same kind, or clears the folder for this one."""
        job = self.job()
        if (self.folder / JOB).exists():
            there = _read_job(self.folder / JOB)
            if overwrite and not (self.folder / FILE).exists() and there == json.loads(json.dumps(job)):
                return  # of the same command
            if not overwrite and there.get("zoo") == job["zoo"] and self._agrees(there, tuple(job), UNFINISHED):
                return
        if (self.folder / FILE).exists() or (self.folder / JOB).exists():
            self.display.say(f"{self.folder} held another alignment, or one of the zoo as it was: it is replaced")
        (self.folder / FILE).unlink(missing_ok=True)
        (self.folder / JOB).unlink(missing_ok=True)
        shutil.rmtree(self.folder / ROUNDS, ignore_errors=True)
        for left in self.folder.glob("*.safetensors"):
            left.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / JOB, (json.dumps(job, indent=1, sort_keys=True) + "\n").encode())

    def _align(self) -> None:
        count, rounds = int(sum(part.sum() for part in self.training)), self.reference.rounds
        total, to = rounds * count + len(self.zoo), self.reference.description["to"]
        passes = f": {rounds} x {count} of training, then all, {total} network passes" if rounds else ""
        self.display.say(f"aligning {len(self.zoo)} networks {self.zoo.spec} to {to}{passes}")
        with self.display.bar("aligning", "network passes" if rounds else "networks") as report:
            tally = _Tally(total, report)
            params = self.reference.params
            for number in range(rounds):
                params = self._mean(params, number, tally)
            parts, distance = self._elements(params, tally)
        self._finish(params, parts, distance)

    def _mean(self, params: Tensor, number: int, tally: _Tally) -> Tensor:
        """(1, P) mean of the training networks, aligned to a reference (1, P)."""
        folder = self.folder / ROUNDS / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        total = torch.zeros(self.zoo.spec.num_params, dtype=torch.float64)
        distance, count = torch.zeros(2, dtype=torch.float64), 0
        for shard, entry in enumerate(self.shards):
            chosen = self.training[shard].nonzero().flatten()
            if not len(chosen):
                continue
            found = _read_if_whole(folder / entry.file, {"sum", "distance"})
            if found is None:
                aligned, _, distances = self._aligned(params, self.begins[shard] + chosen)
                found = {"sum": aligned.params.double().sum(0).cpu(), "distance": distances.double().sum(0).cpu()}
                write_whole(folder / entry.file, seal(found, {}))
            total, distance, count = total + found["sum"], distance + found["distance"], count + len(chosen)
            tally.add(len(chosen), f"round {number + 1}, squared distance {float(distance[1]) / max(1, count):.4g}")
        return (total / count).float()[None]

    def _elements(self, params: Tensor, tally: _Tally) -> tuple[list[ShardEntry], Tensor]:
        """Writes the elements of all networks; returns the files and the mean squared distances (2,)."""
        entries, total, done = [], torch.zeros(2, dtype=torch.float64), 0
        for shard, entry in enumerate(self.shards):
            path = self.folder / entry.file
            if _read_if_whole(path, {"orders", "distance"}) is None:
                rows = torch.arange(self.begins[shard], self.begins[shard + 1])
                _, packed, distances = self._aligned(params, rows)
                write_whole(path, to_bytes(packed.cpu(), distances.cpu(), self.zoo.spec))
            content = path.read_bytes()
            entries.append(ShardEntry(entry.file, entry.rows, len(content), hashlib.sha256(content).hexdigest()))
            total, done = total + read_part(path)["distance"].double().sum(0), done + entry.rows
            tally.add(entry.rows, f"storing, squared distance {float(total[1]) / max(1, done):.4g}")
        return entries, total / done

    def _aligned(self, params: Tensor, rows: Tensor) -> tuple[WeightBatch, Tensor, Tensor]:
        """Aligned networks, their packed elements, and squared distances (n, 2) before and after."""
        other = WeightBatch(self.zoo.params(rows), self.zoo.spec).to(self.device)
        reference = other.replace(params=params.to(self.device).expand(len(rows), -1))
        try:
            element = align(reference, other, self.group, self.sweeps)
            packed = pack_element(element)
        except SpecError as error:
            raise ZooError(f"{self.zoo.path}: networks {int(rows[0])} to {int(rows[-1])}: {error}") from error
        aligned = element.apply(other)
        distances = [squared_distance(reference, moved) for moved in (other, aligned)]
        return aligned, packed, torch.stack(distances, dim=1)

    def _finish(self, params: Tensor, parts: list[ShardEntry], distance: Tensor) -> None:
        content = seal({"params": params}, {})
        write_whole(self.folder / REFERENCE, content)
        said = dict(zip(("before", "after"), distance.tolist(), strict=True))
        job, checksum = self.job(), hashlib.sha256(content).hexdigest()
        header = AlignmentHeader(**job, distance=said, reference_sha256=checksum, parts=parts)
        write_whole(self.folder / FILE, header.to_text().encode())
        (self.folder / JOB).unlink()
        shutil.rmtree(self.folder / ROUNDS, ignore_errors=True)


class _Tally:
    """Counts networks over all passes."""

    def __init__(self, total: int, report: Report) -> None:
        self.done, self.total, self.report = 0, total, report
        report(0, total)

    def add(self, count: int, note: str) -> None:
        """Reports so many further networks, with a note on the pass."""
        self.done += count
        self.report(self.done, self.total, note)


def _read_job(path: Path) -> dict[str, Any]:
    """The description of an unfinished job; empty if it is damaged."""
    try:
        return parse(path.read_bytes()[:TEXT_LIMIT], str(path))
    except ZooError:
        return {}


def _read_if_whole(path: Path, needed: set[str]) -> dict[str, Tensor] | None:
    """The tensors of a file that a cut job has left; None if it is missing or damaged."""
    try:
        tensors = read_part(path)
    except ZooError:
        return None
    return tensors if needed <= tensors.keys() else None
