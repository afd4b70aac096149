"""Reading the drawings of class folders, each once, with cached results."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from weightspace.errors import SourceError
from weightspace.files import read_regular, write_whole
from weightspace.files.cache import cache_folder
from weightspace.files.limits import PIXELS
from weightspace.progress import Display
from weightspace.sources.drawing import read_drawing
from weightspace.text import PlainConsole

#: Another number means that drawings are read in another way.
VERSION = 1
#: Bytes of a file.
LIMIT = 100_000_000
#: Number of files from which on progress is reported.
MANY = 500
#: Images by the sha256 of their files, or the reason why there is none.
Images = dict[str, "np.ndarray | str"]


@dataclass
class Drawings:
    """The different drawings of a folder.

    Attributes:
        images: (size, size, 3) uint8 each.
        kinds: first folder of each one's name.
        left_out: (name, reason) of all other files.
    """

    images: list[np.ndarray] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_drawings(root: Path, names: list[str], size: int) -> Drawings:
    """Reads PNG files. Drawings are equal if their images are; equal ones in several classes have none.

    Args:
        root: a folder.
        names: of files below it, as ``<class>/.../<file>``.
        size: side of the images, in pixels.
    """
    found, equals = Drawings(), dict[bytes, list[str]]()
    digests = dict[str, str]()
    for name in names:
        try:
            digests[name] = hashlib.sha256(read_regular(root / name, LIMIT)).hexdigest()
        except OSError as error:
            found.left_out.append((name, f"cannot be read ({error.strerror or error})"))
    images = _images({digest: root / name for name, digest in digests.items()}, size)
    for name, digest in digests.items():
        image = images[digest]
        if isinstance(image, str):
            found.left_out.append((name, image))
        else:
            equals.setdefault(image.tobytes(), []).append(name)
    for first, *others in equals.values():
        kinds = sorted({name.split("/")[0] for name in (first, *others)})
        if len(kinds) > 1:
            found.left_out += [(name, f"in several classes: {', '.join(kinds)}") for name in (first, *others)]
            continue
        found.images.append(np.asarray(images[digests[first]]))
        found.kinds += kinds
        found.left_out += [(name, f"equal to another one: {first}") for name in others]
    return found


def _images(files: dict[str, Path], size: int) -> Images:
    """Images of files, given by their sha256: those of an earlier time, if all files are the same."""
    import PIL

    decides = (VERSION, PIL.__version__, PIXELS, size, sorted(files))
    name = hashlib.sha256(repr(decides).encode()).hexdigest()[:16]
    memory = cache_folder() / "drawings" / f"{name}.safetensors"
    images = _recall(memory, size)
    if images.keys() != files.keys():
        images = _read(files, size)
        _remember(memory, images)
    return images


def _read(files: dict[str, Path], size: int) -> Images:
    images: Images = {}
    console = PlainConsole(stderr=True)
    display = Display(show=console.is_terminal and len(files) >= MANY, console=console)
    with display.bar("reading", "drawings") as report:
        for number, (digest, path) in enumerate(files.items(), start=1):
            try:
                images[digest] = read_drawing(path, size)
            except SourceError as error:
                images[digest] = str(error).removeprefix(f"{path}: ")
            report(number, len(files))
    return images


def _recall(memory: Path, size: int) -> Images:
    """Cached images; empty if the cache cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(memory, "np") as file:
            images = {digest: file.get_tensor(digest) for digest in file.keys()}  # noqa: SIM118 - it is no dict
            reasons = file.metadata() or {}
    except (OSError, SafetensorError):
        return {}
    whole = all(image.shape == (size, size, 3) and image.dtype == np.uint8 for image in images.values())
    return {**images, **reasons} if whole else {}


def _remember(memory: Path, images: Images) -> None:
    from safetensors.numpy import save

    tensors = {digest: image for digest, image in images.items() if not isinstance(image, str)}
    reasons = {digest: reason for digest, reason in images.items() if isinstance(reason, str)}
    try:
        os.makedirs(memory.parent, exist_ok=True)
        write_whole(memory, save(tensors, reasons))
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
