"""``alignment.json``: what a stored alignment was made of, and the checksums of its files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weightspace.errors import ZooError
from weightspace.files import read_regular
from weightspace.symmetry import group_name
from weightspace.zoo.alignment.naming import default_name
from weightspace.zoo.header import ShardEntry, digest
from weightspace.zoo.schema import HEADER, PROVENANCE, SHA256, TEXT_LIMIT, Fields, check_fields, parse

FORMAT = 1
FILE = "alignment.json"
#: Folder within the zoo, with one folder for each alignment.
FOLDER = "alignments"
#: File with the parameters (1, P) of the reference.
REFERENCE = "reference.safetensors"


def _is_group(value: Any) -> bool:
    return isinstance(value, list) and "permutation" in value and all(isinstance(name, str) for name in value)


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("to"), str) and isinstance(value.get("kind"), str)


def _is_sum(value: Any) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def _is_distance(value: Any) -> bool:
    return isinstance(value, dict) and {"before", "after"} == value.keys() and all(map(_is_number, value.values()))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


FIELDS: Fields = {
    "zoo": (_is_sum, "the digest of a zoo"),
    "reference": (_is_reference, "an object with to and kind"),
    "group": (_is_group, "names of symmetries, permutation among them"),
    "sweeps": (lambda value: type(value) is int and value > 0, "a whole number > 0"),
    "solver": (lambda value: isinstance(value, str), "a text"),
    "device": PROVENANCE["device"],
    "versions": PROVENANCE["versions"],
    "distance": (_is_distance, "{before, after}, numbers >= 0"),
    "reference_sha256": (_is_sum, "a checksum"),
    "parts": (HEADER["shards"][0], "files with file, rows, bytes and sha256, as the zoo's shards"),
}


#: Defaults of ``align_zoo``: sweeps over the layers, and means of the zoo, see benchmarks/README.md.
SWEEPS, ROUNDS = 2, 3


@dataclass(frozen=True)
class AlignmentHeader:
    """Contents of ``alignment.json``.

    Args:
        zoo: digest of the zoo whose networks were aligned.
        reference: "to" as it was given, "kind" ("untrained", "network", "mean", "stored" or "given") and what decides
            the network: object, view, seed, rounds, and the digest of another zoo.
        group: sorted names of the symmetries.
        sweeps: of the alignment over the layers.
        solver: of the assignment problems.
        device: on which the networks were aligned.
        versions: of the packages that decide the elements.
        distance: mean squared distance of all networks to the reference, "before" and "after" they were aligned.
        reference_sha256: checksum of the reference's file.
        parts: one file for each shard of the zoo, of the same name and number of networks.
    """

    zoo: str
    reference: dict[str, Any]
    group: list[str]
    sweeps: int
    solver: str
    device: str
    versions: dict[str, str]
    distance: dict[str, float]
    reference_sha256: str
    parts: list[ShardEntry]

    def to_text(self) -> str:
        """JSON text, with a digest of everything else in it."""
        data = {"format": FORMAT, **asdict(self)}
        return json.dumps({**data, "digest": digest(data)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> AlignmentHeader:
        """Reads and checks ``alignment.json`` in the folder of an alignment.

        Raises:
            ZooError: it is missing, altered, of another format, or does not follow the schema.
        """
        path = folder / FILE
        try:
            data = parse(read_regular(path, TEXT_LIMIT), str(path))
        except OSError as error:
            raise ZooError(f"{path} cannot be read: {error.strerror or error}") from error
        claimed = data.pop("digest", None)
        if data.get("format") != FORMAT:
            raise ZooError(
                f"{path}: this version reads alignments of format {FORMAT}, found {data.get('format')!r:.100}"
            )
        if claimed != digest(data):
            raise ZooError(f"{path} was altered: its digest should be {digest(data)}, found {claimed!r:.100}")
        del data["format"]
        check_fields(data, FIELDS, str(path))
        return cls(**{**data, "parts": [ShardEntry(**part) for part in data["parts"]]})

    def command(self, zoo: Path, name: str, symmetries: Collection[str], overwrite: bool = False) -> str:
        """The command that makes this alignment, with what differs from the defaults of ``align_zoo``.

        Args:
            zoo: folder of the zoo.
            name: of the alignment.
            symmetries: of the zoo's networks, which are the default group.
            overwrite: whether it replaces one that is there.
        """
        if self.reference["kind"] == "given":
            return f"ws.align_zoo({str(zoo)!r}, to=NETWORK, name={name!r})"
        seed, rounds = self.reference.get("seed", 0), self.reference.get("rounds", ROUNDS)
        options = {
            "name": None if name == default_name(self.reference) else name,
            "group": None if set(self.group) == set(symmetries) else group_name(self.group),
            "sweeps": None if self.sweeps == SWEEPS else self.sweeps,
            "rounds": None if rounds == ROUNDS else rounds,
            "seed": seed or None,
            "overwrite": "true" if overwrite else None,
        }
        return align_command(zoo, self.reference["to"], **options)


def align_command(zoo: Path, to: str, **options: Any) -> str:
    """The command that aligns a zoo to a reference, with those options that are not None."""
    given = [text for name, value in options.items() if value is not None for text in (f"--{name}", str(value))]
    return shlex.join(["weightspace", "zoo", "align", str(zoo), "--to", to, *given])
