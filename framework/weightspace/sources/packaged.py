"""Finding data that installed Python packages contain, without importing the packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from weightspace.errors import SourceError


def packaged(source: str, package: str, project: str, file: str) -> Path:
    """Path of a file within an installed package.

    Nothing of the package runs, and what it requires need not be installed: hence ``--no-deps`` in the message.

    Args:
        source: name of the source, for messages.
        package: name under which the package is imported, without dots.
        project: name under which pip installs it.
        file: path below the package's folder, with slashes.

    Raises:
        SourceError: the package is not installed, or has no such file.
    """
    cure = f"pip install --no-deps {project}"
    found = find_spec(package)
    if found is None or found.origin is None:  # without an origin it is any folder of this name
        raise SourceError(
            f"source {source!r} needs the package {project!r}, which is not installed: run {cure}, or give the path of "
            f"{Path(file).name}"
        )
    path = Path(found.origin).parent / file
    if not path.is_file():
        raise SourceError(
            f"source {source!r}: expected {file} in the package {project!r}, found none in {path.parent}: run {cure} "
            f"--force-reinstall, or give the path of {path.name}"
        )
    return path


def given(path: str, *names: str) -> list[Path]:
    """The files with these names in the folder that a path names; a single one may also be named itself.

    Raises:
        SourceError: one of them does not exist.
    """
    place = Path(path).expanduser()
    files = [place] if len(names) == 1 and not place.is_dir() else [place / name for name in names]
    for name, file in zip(names, files, strict=True):
        if not file.exists():
            raise SourceError(f"{file}: there is no such file, expected {name}")
    return files
