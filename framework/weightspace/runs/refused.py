"""Leaving nothing behind when a new run is refused before anything was trained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

#: What a run writes before its first step; anything else may be worth keeping.
_AT_THE_START = re.compile(r"\.lock|config\.yaml|provenance\.json|hparams\.yaml|events\.out\.tfevents\..*")


def missing_folders(path: Path) -> list[Path]:
    """Those of a folder and its parents that do not exist, the innermost first.

    >>> [str(path) for path in missing_folders(Path("no/such/folder"))]
    ['no/such/folder', 'no/such', 'no']
    """
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def remove_folders(made: Sequence[Path]) -> None:
    """Removes the folders that a command made for a run, if they hold only what is written before the first step.

    Args:
        made: what ``missing_folders`` gave before they were made, the run's folder first; its parents are removed if
            they are empty.
    """
    if not made or not made[0].is_dir() or any(map(_is_worth_keeping, made[0].rglob("*"))):
        return
    shutil.rmtree(made[0], ignore_errors=True)
    for parent in made[1:]:
        with suppress(OSError):  # others may have written there meanwhile
            parent.rmdir()


def _is_worth_keeping(path: Path) -> bool:
    return not path.is_dir() and _AT_THE_START.fullmatch(path.name) is None
