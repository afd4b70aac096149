"""Checking stored meshes once before sampling, with cached results."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from weightspace.distributed.workers import in_processes
from weightspace.files import JSON_LIMIT, read_regular, write_whole
from weightspace.files.cache import cache_folder
from weightspace.progress import Display
from weightspace.sources.solids.mesh_file import leak
from weightspace.sources.solids.stored import StoredMesh
from weightspace.text import PlainConsole

#: Another number means that meshes are judged in another way.
VERSION = 3
#: Number of meshes from which on progress is reported.
MANY = 50


@dataclass(frozen=True)
class Finding:
    """Result for one mesh.

    Args:
        size: in bytes.
        time: of its last change in nanoseconds.
        sha256: of its content.
        defect: why it is not a mesh; "" if it is.
        leak: why the mesh is not watertight; "" if it is.
        outline: what near-copies share, see ``StoredMesh.outline``.
    """

    size: int
    time: int
    sha256: str
    defect: str
    leak: str
    outline: Sequence[float] = ()


def survey(root: Path, meshes: Sequence[StoredMesh]) -> list[Finding]:
    """Checks meshes in several processes, with progress on a terminal.

    Results are cached; a mesh is checked again only if its size or time of change differs.

    Args:
        root: the folder of all of them, which names the cache.
        meshes: with different names.
    """
    memory = cache_folder() / "meshes" / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.json"
    known = _recall(memory)
    new = [mesh for mesh in meshes if not _fresh(known.get(mesh.name), mesh)]
    console = PlainConsole(stderr=True)
    if len(new) >= MANY:
        console.print(f"looking at {len(new):,} meshes; what is found is remembered in {memory}")
    display = Display(show=console.is_terminal and len(new) >= MANY, console=console)
    findings = in_processes(look, new)
    try:
        with display.bar("looking", "meshes") as report:
            for number, (mesh, finding) in enumerate(zip(new, findings, strict=True), start=1):
                known[mesh.name] = finding
                report(number, len(new))
    finally:  # also of a survey that was stopped
        if new:
            _remember(memory, {mesh.name: known[mesh.name] for mesh in meshes if mesh.name in known})
    return [known[mesh.name] for mesh in meshes]


def look(mesh: StoredMesh) -> Finding:
    """Checks one mesh."""
    try:
        state = mesh.state()
        content = mesh.content()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None  # without the folder, which may be moved
        return Finding(-1, -1, "", said or str(error), "")  # looked at again next time
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        parsed = mesh.parsed(content)
        return Finding(*state, sha256, "", leak(parsed) or "", mesh.outline(parsed))
    except ValueError as error:
        return Finding(*state, sha256, str(error), "")


def _version() -> str:
    """Everything besides the file that determines the result."""
    import trimesh

    return f"{VERSION}, trimesh {trimesh.__version__}"


def _fresh(finding: Finding | None, mesh: StoredMesh) -> bool:
    try:
        return finding is not None and (finding.size, finding.time) == mesh.state()
    except OSError:
        return False


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
