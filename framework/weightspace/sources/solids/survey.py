"""Checking mesh files once before sampling, with cached results."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from weightspace.files import JSON_LIMIT, read_regular, write_whole
from weightspace.files.cache import cache_folder
from weightspace.progress import Display
from weightspace.sources.solids.mesh_file import leak, parse_mesh, read_file
from weightspace.text import PlainConsole

#: Another number means that files are judged in another way.
VERSION = 2
#: Number of files from which on progress is reported.
MANY = 50


@dataclass(frozen=True)
class Finding:
    """Result for one mesh file.

    Args:
        size: of the file in bytes.
        time: of its last change in nanoseconds.
        sha256: of its content.
        defect: why it is not a mesh; "" if it is.
        leak: why the mesh is not watertight; "" if it is.
    """

    size: int
    time: int
    sha256: str
    defect: str
    leak: str


def survey(root: Path, files: list[Path]) -> list[Finding]:
    """Checks mesh files, with progress on a terminal.

    Results are cached; a file is checked again only if its size or time of change differs.

    Args:
        root: a folder.
        files: below it.
    """
    names = [file.relative_to(root).as_posix() for file in files]
    memory = cache_folder() / "meshes" / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.json"
    known = _recall(memory)
    new = {name: file for name, file in zip(names, files, strict=True) if not _fresh(known.get(name), file)}
    console = PlainConsole(stderr=True)
    if len(new) >= MANY:
        console.print(f"looking at {len(new):,} mesh files; what is found is remembered in {memory}")
    display = Display(show=console.is_terminal and len(new) >= MANY, console=console)
    try:
        with display.bar("looking", "files") as report:
            for number, (name, file) in enumerate(new.items(), start=1):
                known[name] = _look(file)
                report(number, len(new))
    finally:  # also of a survey that was stopped
        if new:
            _remember(memory, {name: known[name] for name in names if name in known})
    return [known[name] for name in names]


def _version() -> str:
    """Everything besides the file that determines the result."""
    import trimesh

    return f"{VERSION}, trimesh {trimesh.__version__}"


def _fresh(finding: Finding | None, file: Path) -> bool:
    try:
        state = file.stat()
    except OSError:
        return False
    return finding is not None and (finding.size, finding.time) == (state.st_size, state.st_mtime_ns)


def _look(file: Path) -> Finding:
    try:
        state = file.stat()
        content = read_file(file)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None  # without the folder, which may be moved
        return Finding(-1, -1, "", said or str(error), "")  # looked at again next time
    known = (state.st_size, state.st_mtime_ns, hashlib.sha256(content).hexdigest())
    try:
        return Finding(*known, "", leak(parse_mesh(content, file.suffix.lower())) or "")
    except ValueError as error:
        return Finding(*known, str(error), "")


def _recall(memory: Path) -> dict[str, Finding]:
    """Cached results of an earlier survey; empty if the cache cannot be read."""
    try:
        content = json.loads(read_regular(memory, JSON_LIMIT))
        if content["version"] != _version():
            return {}
        return {str(name): Finding(**finding) for name, finding in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(memory: Path, found: dict[str, Finding]) -> None:
    content = {"version": _version(), "files": {name: asdict(finding) for name, finding in found.items()}}
    try:
        os.makedirs(memory.parent, exist_ok=True)
        write_whole(memory, json.dumps(content).encode())
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
