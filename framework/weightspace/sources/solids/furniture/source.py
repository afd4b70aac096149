"""Real furniture and more in 15 classes: the models of Debian's package sweethome3d-furniture."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.files.walk import most_frequent
from weightspace.sources.solids.furniture.catalogue import Model, read_catalogues
from weightspace.sources.solids.furniture.kinds import CLASS_NAMES, kind_of
from weightspace.sources.solids.mesh_source import VERSION, MeshSource
from weightspace.sources.solids.near_copies import near_copies
from weightspace.sources.solids.solid import CLAMP
from weightspace.sources.solids.survey import survey
from weightspace.sources.solids.triangles import require_geometry

#: Where the package puts its libraries.
SYSTEM_FOLDER = Path("/usr/share/sweethome3d/furniture")
ENDING = ".sh3f"


class Furniture(MeshSource):
    """The models of libraries whose names are of a class; inside is where the winding number is above one half.

    Args:
        path: folder of the libraries, or one of them; None: the package's.
        points, field, clamp, seed: see ``MeshSource``.

    Raises:
        SourceError: no library, no usable model, or a value out of range.
    """

    name = "furniture"
    class_names = CLASS_NAMES

    def __init__(self, path: str | None, points: int, field: str, clamp: float, seed: int) -> None:
        super().__init__(points, field, clamp, seed)
        options = {"points": points, "field": field, "clamp": clamp, "seed": self.seed}
        libraries = find_libraries(path)
        self.arguments = options if path is None else {"path": str(Path(path).expanduser().resolve()), **options}
        found = read_catalogues(libraries)
        kinds = {model.mesh.name: kind_of(model.title) for model in found.models}
        nowhere = [(m.mesh.name, f"of no class: {m.title}") for m in found.models if kinds[m.mesh.name] is None]
        models = [model for model in found.models if kinds[model.mesh.name] is not None]
        findings = survey(libraries[0].parent, [model.mesh for model in models])
        defects = [(m.mesh.name, f.defect) for m, f in zip(models, findings, strict=True) if f.defect]
        self.left_out = (*found.left_out, *nowhere, *defects)
        used = [(model, finding) for model, finding in zip(models, findings, strict=True) if not finding.defect]
        if not used:
            raise SourceError(
                f"source 'furniture': no model in {libraries[0].parent} can be used ({most_frequent(self.left_out)})"
            )
        self.stored, self.sums = [model.mesh for model, _ in used], [finding.sha256 for _, finding in used]
        self.targets = np.array([CLASS_NAMES.index(str(kinds[m.mesh.name])) for m, _ in used], dtype=np.int64)
        self.groups = near_copies([finding.outline for _, finding in used])
        self.num_train = len(used)
        self.license = " AND ".join(sorted({model.license for model, _ in used}))
        self.attribution = attribution([model for model, _ in used])
        turns = [model.mesh.turn for model, _ in used]
        identity = (VERSION, sorted(options.items()), self.targets.tolist(), self.groups.tolist(), turns, self.sums)
        self._digest = hashlib.sha256(repr(identity).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """sha256 of the options, the classes, the groups and the content of the models."""
        return self._digest


def furniture(
    path: str | None = None, points: int = 16_384, field: str = "sdf", clamp: float = CLAMP, seed: int = 0
) -> Furniture:
    """Loads the OBJ models of five libraries of Sweet Home 3D, as far as their names are of one of 15 classes.

    Each model is turned upright, so that its third coordinate is the height, then moved and scaled so that its longest
    side goes from -0.9 to 0.9. Models with nearly the same surface, but for place, size and a turn around the upright
    axis, come into one split (``groups``, see ``near_copies``). Nothing is unpacked to the disk. No own test set.

    Args:
        path: folder with libraries (``*.sh3f``), or one of them. Without it, that of the installed package.
        points: number of points per model, even, >= 2.
        field, clamp: see ``SolidSource``.
        seed: of the points.

    Raises:
        SourceError: the package is not installed, no model can be used, or a value is out of range.
        MissingExtraError: trimesh or libigl is not installed.
    """
    require_geometry("furniture")
    return Furniture(path, points, field, clamp, seed)


def find_libraries(path: str | None) -> list[Path]:
    """The libraries in a folder, by name, or the one that is given; None: those of the package.

    Raises:
        SourceError: there is none.
    """
    place = SYSTEM_FOLDER if path is None else Path(path).expanduser()
    libraries = [place] if place.is_file() else sorted(place.glob(f"*{ENDING}"))
    if not libraries:
        cure = "" if path else "run apt-get install sweethome3d-furniture, or "
        raise SourceError(
            f"source 'furniture': expected libraries *{ENDING} in {place}, found none: {cure}give their path"
        )
    return libraries


def attribution(models: list[Model]) -> str:
    """The creators of models in one line, those of the most models first."""
    creators = Counter(model.creator or f"unnamed authors of {model.mesh.path.name}" for model in models)
    return ", ".join(sorted(creators, key=lambda creator: (-creators[creator], creator)))
