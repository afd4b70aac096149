"""Which zoo and which encoder a run has read: as it says itself, and as they are now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from weightspace.errors import ConfigError, WeightspaceError
from weightspace.files import open_regular, read_json
from weightspace.runs.flat_config import PLACES, read_flat
from weightspace.runs.folder import RunFolder
from weightspace.runs.parts import part_name, part_of
from weightspace.runs.unfinished import note_of

T = TypeVar("T")

#: What can be read, by the keys of ``provenance.json``. Of several, the further ones are "zoo 2", "zoo 3", ...
KINDS = ("zoo", "test_zoo", "encoder")


def numbered(kind: str, values: Sequence[T]) -> dict[str, T]:
    """Values by kind, of which there may be several.

    >>> numbered("zoo", ["zoos/a", "zoos/b"])
    {'zoo': 'zoos/a', 'zoo 2': 'zoos/b'}
    """
    return {kind if number == 1 else f"{kind} {number}": value for number, value in enumerate(values, 1)}


def kind_of(key: str) -> str:
    """The kind of a key of ``numbered``."""
    return key.split(" ")[0]


@dataclass(frozen=True)
class Origin:
    """A zoo or an encoder that a run reads.

    Attributes:
        path: as the configuration has it.
        digest: of its content: 16 digits of the sha256 of ``zoo.json``, which has the checksums of all shards, or of
            the encoder's file.
        making: of how it was made, which other versions and machines do not change; empty: not known.
    """

    path: str
    digest: str
    making: str = ""

    def made_like(self, other: Origin) -> bool:
        """Whether both were made in the same way; if one does not say how, whether they have the same content."""
        if self.making and other.making:
            return self.making == other.making
        return self.digest == other.digest


def origin_there(kind: str, path: str) -> Origin | None:
    """A zoo or an encoder as it is now; None: it is not there.

    Args:
        kind: one of ``KINDS``, or a key of ``numbered``.
        path: folder of the zoo, or the encoder's file, or the folder of the run that has trained it.

    Raises:
        ZooError: ``zoo.json`` is damaged.
        ConfigError: a folder has several encoders.
    """
    return _encoder(path) if kind_of(kind) == "encoder" else _zoo(path)


def digest_there(origin: Origin, kind: str) -> str | None:
    """Digest of the content that lies where an origin was; None: nothing that can be read."""
    try:
        file = _encoder_file(origin.path) if kind_of(kind) == "encoder" else _zoo_file(origin.path)
        return None if file is None else _digest(file)
    except (OSError, ConfigError):
        return None


def is_there(kind: str, path: str) -> bool:
    """Whether there is a finished zoo, or an encoder whose training has ended if it lies in the folder of the run.

    Args:
        kind, path: see ``origin_there``.

    Raises:
        ConfigError: a folder has several encoders, or ``metrics.json`` of the run is damaged.
    """
    if kind_of(kind) != "encoder":
        return _zoo_file(path) is not None and not note_of(path).exists()
    file = _encoder_file(path)
    if file is None:
        return False
    run = RunFolder(file.parent)
    # the best encoder so far lies there long before the last one
    return not (run.path / "provenance.json").exists() or "fit" in run.read_metrics()


def origins_of(folder: RunFolder) -> dict[str, Origin]:
    """What a run has read, by key (see ``numbered``), as its ``provenance.json`` says; earlier ones name the zoo alone.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder.path / "provenance.json"
    provenance = read_json(path, ConfigError, "the provenance of a run") if path.exists() else {}
    found: dict[str, Origin | None] = {}
    for kind in KINDS:
        said = provenance.get(kind)
        found |= numbered(kind, [_noted(part) for part in (said if isinstance(said, list) else [said])])
    return {kind: _with_making(kind, origin) for kind, origin in found.items() if origin is not None}


def is_outdated(folder: RunFolder) -> bool:
    """Whether a run has read a zoo or an encoder in whose place there is another one now, made in another way."""
    for kind, origin in origins_of(folder).items():
        there = origin_there(kind, origin.path)
        if there is not None and not there.made_like(origin):
            return True
    return False


def _noted(said: Any) -> Origin | None:
    if not isinstance(said, dict) or not isinstance(said.get("path"), str) or not isinstance(said.get("digest"), str):
        return None
    return Origin(said["path"], said["digest"][:16], str(said.get("making", "")))


def _with_making(kind: str, origin: Origin) -> Origin:
    """The origin with its making, which what is there can tell if it is still the same."""
    if not origin.making and digest_there(origin, kind) == origin.digest:
        with suppress(WeightspaceError):  # a damaged zoo cannot tell
            return origin_there(kind, origin.path) or origin
    return origin


def _zoo(path: str) -> Origin | None:
    # imported here: the zoo's room imports torch
    from weightspace.zoo.header import ZooHeader
    from weightspace.zoo.making import making_of

    file = _zoo_file(path)
    return None if file is None else Origin(path, _digest(file), making_of(ZooHeader.read(file.parent)))


def _zoo_file(path: str) -> Path | None:
    file = Path(path).expanduser() / "zoo.json"
    return file if file.is_file() else None


def _encoder(path: str) -> Origin | None:
    file = _encoder_file(path)
    if file is None:
        return None
    digest = _digest(file)
    return Origin(path, digest, _training(RunFolder(file.parent)) or digest)


def _encoder_file(path: str) -> Path | None:
    """The file of an encoder; None: there is none, or none yet in the folder of a run."""
    # imported here: backbones import torch
    from weightspace.backbones.artefact import ENDING, backbone_file

    place = Path(path)
    if not place.exists() or (place.is_dir() and not any(place.glob(f"*{ENDING}"))):
        return None
    return backbone_file(path)


def _training(folder: RunFolder) -> str:
    """Digest of the configuration and the zoo with which a run has trained; empty: it is no folder of a run."""
    config = read_flat(folder.path / part_name("config.yaml", max(1, part_of(folder))))
    if not config:
        return ""
    # how it is tested does not matter
    said = {key: value for key, value in config.items() if key not in PLACES and key != "data.test_zoo"}
    zoos: list[str | None] = [
        origin.making or origin.digest for key, origin in origins_of(folder).items() if kind_of(key) == "zoo"
    ]
    text = json.dumps([said, *(zoos or [None])], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(file: Path) -> str:
    with open_regular(file) as content:
        return hashlib.file_digest(cast(Any, content), "sha256").hexdigest()[:16]
