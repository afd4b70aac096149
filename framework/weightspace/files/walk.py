"""Walking a folder: the files with wanted endings, and the reason for each one that is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from weightspace.errors import WeightspaceError

#: What systems and programs leave beside a user's files, besides what begins with a dot.
FOREIGN = frozenset(
    {"__macosx", "__pycache__", "@eadir", "desktop.ini", "ehthumbs.db", "lost+found", "thumbs.db", "$recycle.bin"}
)


@dataclass
class Walk:
    """Result of walking a folder.

    Attributes:
        files: regular files with one of the wanted endings, relative to the folder, with slashes, in a fixed order.
        left_out: (name, reason) of all else; hidden files, and files of one other kind, share one line.
    """

    files: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Whether a name, or a path that contains it, belongs to the system or a program (``.DS_Store``, ``._*``).

    >>> is_hidden("cat/._1.png"), is_hidden("cat/.ipynb_checkpoints/1.pth"), is_hidden("cat/1.png"), is_hidden("./a")
    (True, True, False, False)
    """
    parts = name.split("/")
    return any((part.startswith(".") and part not in (".", "..")) or part.lower() in FOREIGN for part in parts)


def walk(
    root: Path, endings: Collection[str], error: type[WeightspaceError], ours: Collection[str] = frozenset()
) -> Walk:
    """Finds the files with these endings, following links; each folder is visited once, so links may form cycles.

    Args:
        root: a folder.
        endings: with the dot, in lower case; upper case matches too.
        error: the error type to raise.
        ours: names, relative to the folder, that are known to be something else and are not reported.

    Raises:
        WeightspaceError: of the class ``error``: a folder that cannot be read.
    """
    found, looker = Walk(), _Looker(root)
    others: dict[str, list[str]] = {}
    try:
        for name, entry in looker.entries():
            ending = os.path.splitext(entry.name)[1].lower()
            if ending not in endings:
                if name not in ours:
                    others.setdefault(ending, []).append(name)
            elif entry.is_file():
                found.files.append(name)
            else:
                nothing = entry.is_symlink() and not os.path.exists(entry.path)
                looker.left_out.append((name, "a link to nothing" if nothing else "not a regular file"))
    except OSError as failure:
        raise error(f"{failure.filename or root}: cannot be read ({failure.strerror or failure})") from failure
    found.files.sort(key=lambda name: name.split("/"))
    kinds = [(names, f"of another kind than {' '.join(sorted(endings))}") for _, names in sorted(others.items())]
    kinds += [(looker.hidden, "hidden, or of another program")] if looker.hidden else []
    found.left_out = sorted(looker.left_out) + [_line(*kind) for kind in kinds]
    return found


def most_frequent(left_out: Iterable[tuple[str, str]]) -> str:
    """The three most frequent reasons, for a message.

    >>> most_frequent([("a", "no label"), ("b", "damaged: byte 3"), ("c", "no label")])
    '2 of them: no label; 1 of them: damaged'
    """
    counts = Counter(reason.split(":")[0] for _, reason in left_out).most_common(3)
    return "; ".join(f"{count} of them: {reason}" for reason, count in counts) or "there are none"


class _Looker:
    """Visits folders before links to folders, so that a folder is reported under its own name if it has one here."""

    def __init__(self, root: Path) -> None:
        self.left_out: list[tuple[str, str]] = []
        self.hidden: list[str] = []
        self._root = root
        self._names = {os.path.realpath(root): ""}
        self._links: list[str] = []

    def entries(self) -> Iterable[tuple[str, os.DirEntry[str]]]:
        """(name, entry) of everything that is neither a folder nor hidden."""
        yield from self._below("")
        for link in self._links:  # grows on the way
            place = os.path.realpath(self._root / link)
            above = os.path.commonpath([place, os.path.realpath(self._root)]) == place
            if above or place in self._names:
                known = self._names.get(place) or "the folder itself, or one above it"
                self.left_out.append((link, f"a link to what is known already: {known}"))
            else:
                self._names[place] = link
                yield from self._below(link)

    def _below(self, start: str) -> Iterable[tuple[str, os.DirEntry[str]]]:
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            with os.scandir(self._root / folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
            if not entries and folder:
                self.left_out.append((folder, "an empty folder"))
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if is_hidden(entry.name):
                    self.hidden.append(name)
                elif not (
                    os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                ):  # links may go in circles
                    yield name, entry
                elif entry.is_symlink():
                    self._links.append(name)
                elif (place := os.path.realpath(entry.path)) not in self._names:
                    self._names[place] = name
                    waiting.append(name)


def _line(names: list[str], reason: str) -> tuple[str, str]:
    """One line for everything that is left out for the same reason."""
    more = f", and {len(names) - 1:,} more like it" if len(names) > 1 else ""
    return min(names), reason + more
