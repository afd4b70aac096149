"""``zoo.json``, the header of a zoo: in format 1, or in format 2 for networks that format 1 cannot describe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any

from weightspace.errors import SpecError, ZooError
from weightspace.files import read_regular
from weightspace.spec import NetworkSpec
from weightspace.zoo.schema import HEADER, TEXT_LIMIT, check_fields, check_provenance, parse

#: Of plain networks, and of those with kernels, without biases or with several activations, which earlier versions
#: would misread.
FORMAT, EXTENDED_FORMAT = 1, 2
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
        """Number of the shard, after which its file is named."""
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
        left_out: networks that were left out: [{"object": i, "view": v, "reason": text}, ...].
    """

    spec: NetworkSpec
    target: dict[str, Any]
    quality: list[str]
    provenance: dict[str, Any] = field(repr=False)
    shards: list[ShardEntry] = field(repr=False)
    left_out: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def format(self) -> int:
        """The format of its text: 1, or 2 for networks with kernels, without biases, or with several activations."""
        plain = not self.spec.kernels and not self.spec.biases and isinstance(self.spec.activation, str)
        return FORMAT if plain else EXTENDED_FORMAT

    @property
    def rows(self) -> int:
        """Number of networks."""
        return sum(shard.rows for shard in self.shards)

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or None for a regression target."""
        return list(self.target["names"]) if self.target["kind"] == "class" else None

    @property
    def value_range(self) -> tuple[float, float]:
        """Outputs of the networks that stand for 0 and 1 of their objects; (0, 1) by default."""
        return self.stated_range or (0.0, 1.0)

    @property
    def stated_range(self) -> tuple[float, float] | None:
        """The ``value_range`` that the zoo states: of fitted networks, their recipe does; None: it states none."""
        stated = self.provenance.get("recipe", self.provenance).get("value_range")
        return stated and (float(stated[0]), float(stated[1]))

    def to_text(self) -> str:
        """JSON text, with a digest of everything else in it."""
        content = asdict(self)
        content["failed"] = content.pop("left_out")  # its name in format 1
        data = {"format": self.format, **content, "spec": self.spec.to_json()}
        return json.dumps({**data, "digest": digest(data)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> ZooHeader:
        """Reads and checks ``zoo.json``.

        Raises:
            ZooError: no zoo there, an unfinished one, another format, or an altered file.
        """
        path = folder / FILE
        try:
            content = read_regular(path, TEXT_LIMIT)
        except FileNotFoundError as error:
            raise ZooError(_missing(folder)) from error
        except OSError as error:
            raise ZooError(f"{path} cannot be read: {error.strerror or error}") from error
        return cls.from_text(content, str(path))

    @classmethod
    def from_text(cls, content: bytes, where: str) -> ZooHeader:
        """Parses and checks what ``to_text`` writes.

        Args:
            content: UTF-8.
            where: name of the text in error messages.

        Raises:
            ZooError: another format, an altered text, or one that does not follow the schema.
        """
        data = parse(content, where)
        version = data.pop("format", None)
        if type(version) is not int or version not in (FORMAT, EXTENDED_FORMAT):
            raise ZooError(
                f"{where}: this version reads zoo formats {FORMAT} and {EXTENDED_FORMAT}, found format {short(version)}"
            )
        claimed, found = data.pop("digest", None), digest({"format": version, **data})
        if claimed != found:
            raise ZooError(f"{where} was altered: its digest should be {found}, found {short(claimed)}")
        spec = data.pop("spec", None)
        check_fields(data, HEADER, where)
        check_provenance(data["provenance"], f"{where}: provenance")
        try:
            shards = [ShardEntry(**shard) for shard in data.pop("shards")]
            header = cls(spec=NetworkSpec.from_json(spec), shards=shards, left_out=data.pop("failed"), **data)
        except SpecError as error:
            raise ZooError(f"{where} does not follow zoo format {version}: {error}") from error
        if header.format != version:
            raise ZooError(
                f"{where} does not follow zoo format {version}: networks {header.spec} are those of format "
                f"{header.format}"
            )
        header._check_counts(where)
        return header

    def _check_counts(self, where: str) -> None:
        """Raises ZooError if there are more networks than planned, or than fit into the bytes of the shards."""
        for shard in self.shards:
            if shard.bytes < 4 * shard.rows * self.spec.num_params:
                raise ZooError(
                    f"{where}: {shard.rows} networks of {self.spec.num_params} parameters do not fit into the "
                    f"{shard.bytes} bytes of {shard.file}"
                )
        if plan := self.provenance.get("plan"):
            planned = plan["train"] * plan["views"] + (plan["val"] + plan["test"]) * plan["eval_views"]
            if self.rows > planned:
                raise ZooError(f"{where}: {planned} networks were planned, and {self.rows} are listed")


def digest(data: dict[str, Any]) -> str:
    """sha256 of a JSON object's canonical text."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _missing(folder: Path) -> str:
    if not folder.exists():
        return f"no zoo at {folder}: there is no such folder. Make one with `weightspace zoo fit` or fit_zoo"
    if (folder / "journal.jsonl").exists():
        return f"the zoo at {folder} is unfinished: run the same command again to resume"
    return f"no zoo at {folder}: the folder has no {FILE}"
