"""The models that libraries of furniture name in their catalogues."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from weightspace.errors import SourceError
from weightspace.files import open_regular
from weightspace.sources.solids.furniture.packed import DAMAGED, PackedMesh, read_member
from weightspace.sources.solids.furniture.properties import read_properties
from weightspace.sources.solids.polygons import MeshError

#: The plain catalogue; beside it are translations.
CATALOGUE = "PluginFurnitureCatalog.properties"
#: Bytes of a catalogue: that of Scopia has 156,000.
LIMIT = 20_000_000
UNTURNED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
#: SPDX identifiers by what a library says of its license, after its name; ``{}`` is the version.
LICENSES = (
    (r"\bCC-?0\b", "CC0-1.0"),
    (r"public domain", "CC-PDDC"),
    (r"Creative Commons (?:Attribution )?(\d\.\d).*United States", "CC-BY-{}-US"),
    (r"Creative Commons Attribution (\d\.\d)", "CC-BY-{}"),
    (r"Free Art License (\d\.\d)", "LAL-{}"),
)


@dataclass(frozen=True)
class Model:
    """A model of a catalogue.

    Args:
        mesh: where it is stored.
        title: its name in the catalogue, in English.
        creator: who made it; "": not stated.
        license: SPDX identifier.
    """

    mesh: PackedMesh
    title: str
    creator: str
    license: str


@dataclass
class Catalogue:
    """What libraries hold.

    Attributes:
        models: in the order of the libraries and of their catalogues.
        left_out: (name, reason) of libraries and models that cannot be used.
    """

    models: list[Model] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_catalogues(libraries: list[Path]) -> Catalogue:
    """Reads the catalogues of libraries; what cannot be used is left out, with the reason."""
    found = Catalogue()
    for library in libraries:
        try:
            with open_regular(library) as file, zipfile.ZipFile(file) as archive:
                sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            properties = read_properties(read_member(library, CATALOGUE, LIMIT))
        except (*DAMAGED, SourceError) as error:
            what = f"its {CATALOGUE}: " if isinstance(error, MeshError) else "not a library, which is a zip file: "
            found.left_out.append((library.name, f"{what}{getattr(error, 'strerror', None) or error}"))
            continue
        _add(found, library, properties, sizes)
    return found


def _add(found: Catalogue, library: Path, properties: dict[str, str], sizes: dict[str, int]) -> None:
    """Adds the models of one library, each file once."""
    keys = [re.fullmatch(r"model#([0-9]{1,9})", key) for key in properties]
    numbers = sorted(int(key[1]) for key in keys if key)
    if not numbers:
        found.left_out.append((library.name, f"its {CATALOGUE} names no models: expected keys model#1, model#2, ..."))
    named = dict[str, int]()
    for number in numbers:
        entry = {key: properties.get(f"{key}#{number}", "").strip() for key in ("model", "name", "creator", "license")}
        member = entry["model"].removeprefix("/")
        name = f"{library.name}/{member}"
        try:
            reason = _unusable(member, entry["name"], sizes, named)
            turn = _rotation(properties.get(f"modelRotation#{number}", ""))
        except ValueError as error:
            reason = str(error)
        if reason:
            found.left_out.append((name if member else f"{library.name}#{number}", reason))
            continue
        named[member] = number
        stated = entry["license"] or properties.get("license", "")
        license = spdx(f"{properties.get('name', '')}: {stated}", library.stem)
        mesh = PackedMesh(name, library, member, sizes[member], turn)
        found.models.append(Model(mesh, entry["name"], entry["creator"], license))


def _unusable(member: str, title: str, sizes: dict[str, int], named: dict[str, int]) -> str:
    """Why an entry of a catalogue is no model of its library; "" if it is."""
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"\w+:", member):
        return "its file is not within the library"
    if not member.lower().endswith(".obj"):
        return "its model is not an OBJ file"
    if member not in sizes:
        return "the library has no such file"
    if not title:
        return "it has no name"
    return f"the same file as model {named[member]}" if member in named else ""


def _rotation(text: str) -> tuple[float, ...]:
    """The nine numbers of a rotation; by default the one that turns nothing.

    Raises:
        ValueError: it is no rotation.
    """
    if not text.strip():
        return UNTURNED
    try:
        numbers = tuple(float(word) for word in text.split())
        matrix = np.reshape(numbers, (3, 3))
    except ValueError:
        matrix = np.zeros((3, 3))
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-2):
        raise ValueError(f"its modelRotation is none: {text[:60]!r}")
    return numbers


def spdx(stated: str, library: str) -> str:
    """SPDX identifier of what a library says of its license; its own reference if no known one is recognised.

    >>> spdx("Scopia: Creative Commons Attribution 3.0 Unported license", "Scopia"), spdx("", "My chairs")
    ('CC-BY-3.0', 'LicenseRef-My-chairs')
    """
    for pattern, identifier in LICENSES:
        if match := re.search(pattern, stated, re.IGNORECASE):
            return identifier.format(*match.groups())
    return f"LicenseRef-{re.sub('[^A-Za-z0-9.]+', '-', library)}"
