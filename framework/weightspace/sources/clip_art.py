"""Real colour drawings of ten classes: the Open Clip Art Library, as Debian's package openclipart-png has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from weightspace.checks import check_whole
from weightspace.errors import MissingExtraError, SourceError
from weightspace.files.walk import is_hidden, most_frequent, walk
from weightspace.sources.drawings import read_drawings
from weightspace.sources.image_source import ImageSource

CLASS_NAMES = (
    "animals", "buildings", "electronics", "food", "office",
    "people", "plants", "recreation", "tools", "transportation",
)  # fmt: skip
#: Where the package puts its folders.
SYSTEM_FOLDER = Path("/usr/share/openclipart/png")


def clip_art(path: str | None = None, size: int = 32) -> ImageSource:
    """Loads the drawings in the package's folders animals, buildings, electronics, food, office, people, plants,
    recreation, tools and transportation, over white. No own test set.

    Left out, and listed, are drawings in several of these folders, all but the first of equal ones, and files that
    cannot be read or show fewer pixels than asked for.

    Args:
        path: the folder with these ten. Without it, that of the installed package.
        size: side of the square images, in pixels. A drawing is cut to what it shows and padded with white.

    Raises:
        SourceError: the package is not installed, a folder is missing, or a value is out of range.
        MissingExtraError: Pillow is not installed.
    """
    try:
        import PIL
    except ImportError as error:
        raise MissingExtraError("pillow", "data", "the source 'clip-art'") from error
    del PIL
    size = check_whole("source 'clip-art': size", size, 2, 4096, SourceError)
    root = SYSTEM_FOLDER if path is None else Path(path).expanduser()
    files, left_out = find_drawings(root, "" if path else "run apt-get install openclipart-png, or ")
    found = read_drawings(root, files, size)
    if not found.images:
        raise SourceError(f"{root}: no drawing can be used ({most_frequent(found.left_out)})")
    arguments: dict[str, Any] = {"size": size} if path is None else {"path": str(root.resolve()), "size": size}
    return ImageSource(
        "clip-art",
        np.stack(found.images),
        np.array([CLASS_NAMES.index(kind) for kind in found.kinds], dtype=np.int64),
        CLASS_NAMES,
        num_train=len(found.images),
        arguments=arguments,
        left_out=(*found.left_out, *left_out),
        license="CC-PDDC",
        attribution="authors of the Open Clip Art Library, named in the files' names",
        stratified=True,
    )


def find_drawings(root: Path, cure: str) -> tuple[list[str], list[tuple[str, str]]]:
    """PNG files of the ten folders, at any depth, by their names below ``root``; and what else is there.

    Args:
        root: the folder with the ten.
        cure: beginning of the advice, if they are missing.

    Raises:
        SourceError: a folder is missing.
    """
    missing = [kind for kind in CLASS_NAMES if not (root / kind).is_dir()]
    if missing:
        raise SourceError(
            f"source 'clip-art': expected the folders {', '.join(CLASS_NAMES)} in {root}, which lacks "
            f"{', '.join(missing) if len(missing) < len(CLASS_NAMES) else 'them'}: {cure}give the path of their folder"
        )
    files, left_out = [], []
    for kind in CLASS_NAMES:
        found = walk(root / kind, {".png"}, SourceError)
        files += [f"{kind}/{name}" for name in found.files]
        left_out += [(f"{kind}/{name}", reason) for name, reason in found.left_out]
    others = sorted({entry.name for entry in root.iterdir() if not is_hidden(entry.name)} - set(CLASS_NAMES))
    if others:
        more = f", and {len(others) - 1} more like it" if len(others) > 1 else ""
        left_out.append((others[0], f"not the folder of a class{more}"))
    return files, left_out
