"""``zoo.json``: what a zoo holds, in format 1."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weightspace.errors import SpecError, ZooError
from weightspace.spec import NetworkSpec
from weightspace.zoo.schema import check_fields

FORMAT = 1
FILE = "zoo.json"
#: Values of the ``split`` column.
SPLITS = ("train", "val", "test", "internal")


@dataclass(frozen=True)
class ShardEntry:
    """One shard as ``zoo.json`` lists it: name below ``shards/``, rows, bytes and sha256 of the file."""

    file: str
    rows: int
    bytes: int
    sha256: str

    @property
    def number(self) -> int:
        """Its place among the shards: the file is named after it."""
        return int(Path(self.file).stem)


@dataclass(frozen=True)
class ZooHeader:
    """Contents of ``zoo.json``.

    Args:
        spec: architecture of all networks.
        target: {"kind": "class" | "value", "names": [...]}: class names, or names of the target's columns.
        quality: names of the quality columns, for instance ["psnr"].
        provenance: source, recipe, seed, versions and numeric mode: what is needed to make the zoo again.
        shards: in order.
        failed: networks that were left out: [{"object": i, "view": v, "reason": text}, ...].
    """

    spec: NetworkSpec
    target: dict[str, Any]
    quality: list[str]
    provenance: dict[str, Any]
    shards: list[ShardEntry]
    failed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of networks."""
        return sum(shard.rows for shard in self.shards)

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or None for a regression target."""
        return list(self.target["names"]) if self.target["kind"] == "class" else None

    def to_text(self) -> str:
        """JSON text, with a digest of everything else in it."""
        data = {"format": FORMAT, **asdict(self), "spec": self.spec.to_json()}
        return json.dumps({**data, "digest": digest(data)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> ZooHeader:
        """Reads and checks ``zoo.json``.

        Raises:
            ZooError: no zoo there, an unfinished one, another format, or an altered file.
        """
        path = folder / FILE
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ZooError(_missing(folder)) from error
        except (OSError, ValueError, RecursionError) as error:
            raise ZooError(f"{path} cannot be read as JSON: {error}") from error
        if not isinstance(data, dict) or "format" not in data:
            raise ZooError(f"{path} is not a zoo's header: expected an object with the key 'format'")
        if data["format"] != FORMAT:
            raise ZooError(f"{path}: this version reads zoo format {FORMAT}, found format {data['format']!r}")
        claimed = data.pop("digest", None)
        if claimed != digest(data):
            raise ZooError(f"{path} was altered: its digest should be {digest(data)}, found {claimed}")
        check_fields(data, str(path))
        try:
            return cls(
                spec=NetworkSpec.from_json(data["spec"]),
                target=data["target"],
                quality=data["quality"],
                provenance=data["provenance"],
                shards=[ShardEntry(**shard) for shard in data["shards"]],
                failed=data["failed"],
            )
        except (KeyError, SpecError) as error:
            raise ZooError(f"{path} does not follow zoo format {FORMAT}: {error}") from error


def digest(data: dict[str, Any]) -> str:
    """sha256 of a JSON object's canonical text."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _missing(folder: Path) -> str:
    if not folder.exists():
        return f"no zoo at {folder}: there is no such folder. Make one with: weightspace zoo fit --out {folder} ..."
    if (folder / "journal.jsonl").exists():
        return f"the zoo at {folder} is unfinished: run the `weightspace zoo fit` command that began it again"
    return f"no zoo at {folder}: the folder has no {FILE}"
