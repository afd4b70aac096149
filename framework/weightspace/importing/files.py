"""Import formats with one file per network: ``dwsnets``, ``nfn`` and ``folder``."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

from weightspace.checks import check_number
from weightspace.errors import ConfigError, ZooError
from weightspace.files import open_regular, read_json
from weightspace.files.class_folders import check_divided, class_and_split
from weightspace.files.names import split_called
from weightspace.files.walk import is_hidden, walk
from weightspace.importing.labels_table import LABELS, Row, read_labels
from weightspace.importing.listing import Contents, Entry, Listing, split_name
from weightspace.importing.names import ENDINGS, view_splitter
from weightspace.importing.spec_file import SPEC, read_spec
from weightspace.importing.state_dict import read_state_dict
from weightspace.importing.target_file import TARGET
from weightspace.spec import NetworkSpec


class FileListing(Listing):
    """A listing of networks in files below a folder.

    Args:
        root: the folder.
        key: location of the network in each file, see ``read_state_dict``.
        spec: the JSON file of the architecture, if there is one.
        norm_eps: see ``read_state_dict``.
    """

    def __init__(
        self, root: Path, key: str | None = None, spec: Path | None = None, norm_eps: float | None = None
    ) -> None:
        super().__init__(root)
        self.key, self.spec, self.norm_eps = key, spec, norm_eps

    def architecture(self) -> NetworkSpec | None:
        """The architecture in the file ``spec``, if there is one."""
        return None if self.spec is None else read_spec(self.spec)

    def read(self, entry: Entry) -> Contents:
        """Reads the file of one network."""
        return read_state_dict(self.root / entry.name, self.key, self.norm_eps)

    def contents(self) -> Iterator[bytes]:
        """Digests of the files; nothing for those that cannot be read, which are left out."""
        for entry in self.entries:
            try:
                with open_regular(self.root / entry.name) as file:
                    yield hashlib.file_digest(cast(Any, file), "sha256").digest()
            except OSError:
                yield b""


def dwsnets(root: Path, view_from: str = "{view}/", splits: str | None = None, key: str | None = None) -> Listing:
    """Lists state_dicts named by a JSON file: {split: [path, ...]} or {split: {"path": [...], "label": [...]}}.

    Args:
        root: the folder.
        view_from: location of the view in a path below the folder, see ``view_splitter``; default its first component.
        splits: the JSON file; default the one below the folder whose name contains "splits".
        key: location of the network in each file, see ``read_state_dict``; default the only possible one.

    Raises:
        ZooError: the JSON file is missing or has another structure.
    """
    listing, table = FileListing(root, key), _splits_file(root, splits)
    split_of = view_splitter(view_from)
    rows = [
        (split_name(name, table), path, label)
        for name, part in read_json(table, ZooError, "the splits, {split: paths}").items()
        for path, label in _paths_and_labels(part, table, name)
    ]
    relative = _reroot([path for _, path, _ in rows], root)
    for (split, path, label), name in zip(rows, relative, strict=True):
        where = split_of(name)
        if not _inside(name) or not (root / name).is_file():
            listing.leave(path, "no such file in the folder")
        elif is_hidden(name):
            listing.leave(name, "hidden, or of another program")
        elif where is None:
            listing.leave(name, f"its path has no view as in {view_from!r}")
        else:
            listing.entries.append(Entry(name, *where, None if label is None else str(label), split))
    return listing


def nfn(root: Path, prefix: str | None = None, key: str | None = None) -> Listing:
    """Lists files ``<prefix>_<class>s/net<number>.pth``; files in ``<prefix>_aug<i>_<class>s`` are further views.

    Args:
        root: the folder.
        prefix: prefix of the folders; default the only one found.
        key: location of the network in each file, see ``read_state_dict``; default the only possible one.

    Raises:
        ZooError: there are folders of several prefixes, and ``prefix`` is not given.
    """
    listing = FileListing(root, key)
    listing.ordered = True
    folder_name = re.compile(r"(?P<prefix>.+?)(?:_aug(?P<copy>\d+))?_(?P<label>[^_]+?)s?")
    prefixes = set()
    found = walk(root, ENDINGS, ZooError)
    listing.not_networks = found.left_out
    for name in found.files:
        parts = PurePosixPath(name).parts
        folder = folder_name.fullmatch(parts[-2]) if len(parts) == 2 else None
        number = re.fullmatch(r"net(\d+)", PurePosixPath(name).stem)
        if folder is None or number is None:
            listing.leave(name, "its path is not like <prefix>_<class>s/net<number>.pth")
        elif prefix is None or folder["prefix"] == prefix:
            prefixes.add(folder["prefix"])
            view = "0" if folder["copy"] is None else str(int(folder["copy"]) + 1)
            listing.entries.append(Entry(name, str(int(number[1])), view, folder["label"]))
    if len(prefixes) > 1:
        raise ZooError(f"{root} has folders of several prefixes: choose one by prefix {' or '.join(sorted(prefixes))}")
    return listing


def folder(
    root: Path,
    labels: str | None = None,
    label_regex: str | None = None,
    view_from: str = "none",
    key: str | None = None,
    spec: str | None = None,
    norm_eps: float | None = None,
) -> Listing:
    """Lists all network files below a folder. Hidden files and files of other kinds are ignored.

    Without a table, folders ``train``, ``val`` and ``test`` define the splits, and the name of the folder of a file is
    its label.

    Args:
        root: the folder.
        labels: a CSV with the columns path and label and, optionally, object, view and split; default ``labels.csv`` in
            the folder, if it exists.
        label_regex: a regular expression for the path, whose first group is the label.
        view_from: location of the view in a path, see ``view_splitter``.
        key: location of the network in each file, see ``read_state_dict``; default the only possible one.
        spec: the JSON file of the architecture; default ``spec.json`` in the folder, if it exists.
        norm_eps: what batch normalisation, which is folded, adds to variances, >= 0; default 1e-5.

    Raises:
        ConfigError: ``norm_eps`` is out of range, or ``label_regex`` is not a regular expression with a group.
        ZooError: the CSV cannot be read or lacks a column, or only some of the files are in folders of splits.
    """
    if labels is not None and label_regex is not None:
        raise ConfigError("labels and label_regex are two ways to the same: give one of them")
    if norm_eps is not None:
        check_number("norm_eps", norm_eps, low=0)
    table = Path(labels).expanduser() if labels else root / LABELS
    there = root / SPEC if (root / SPEC).is_file() else None
    listing = FileListing(root, key, Path(spec).expanduser() if spec else there, norm_eps)
    split_of = view_splitter(view_from)
    found = walk(root, ENDINGS, ZooError, ours=(LABELS, SPEC, TARGET))
    listing.not_networks = found.left_out
    if labels is not None or (label_regex is None and table.is_file()):
        known = _by_table(listing, found.files, table)
    elif label_regex is not None:
        known = _by_expression(found.files, label_regex)
    else:
        read = [(name, *class_and_split(name)) for name in found.files]
        check_divided(root, read, ZooError, "; or give labels or label_regex")
        known = {name: Row(kind or "", split) for name, kind, split in read}
    for name in found.files:
        where, row = split_of(name), known.get(name)
        if where is None:
            listing.leave(name, f"its path has no view as in {view_from!r}")
        elif row is None or not row.label:
            listing.leave(name, "no label")
        else:
            key, view = row.object or where[0], row.view or where[1]
            listing.entries.append(Entry(name, key, view, row.label, row.split))
    return listing


def _by_table(listing: Listing, files: list[str], table: Path) -> dict[str, Row]:
    rows, copies = read_labels(table, listing.root, files)
    for name in copies:
        listing.leave(name, f"duplicate: listed twice in {table.name}, with the same label")
    for name in rows.keys() - set(files):
        there = (listing.root / name).is_file() and _inside(name)
        reason = "hidden, or of another kind" if there else "but there is no such file"
        listing.leave(name, f"listed in {table.name}, {reason}")
    return rows


def _by_expression(files: list[str], label_regex: str) -> dict[str, Row]:
    """Labels by a regular expression; splits by the first folder, if all files are in folders named after splits."""
    try:
        expression = re.compile(label_regex)
    except re.error as error:
        raise ConfigError(f"label_regex: {label_regex!r} is not a regular expression ({error})") from error
    if expression.groups < 1:
        raise ConfigError(f"label_regex: {label_regex!r} has no group for the label")
    splits = [split_called(name.split("/")[0]) if "/" in name else None for name in files]
    divided = None not in splits
    matches = [expression.match(name) for name in files]
    return {
        name: Row(match[1] or "", split if divided else None)
        for name, split, match in zip(files, splits, matches, strict=True)
        if match
    }


def _splits_file(root: Path, given: str | None) -> Path:
    if given is not None:
        return Path(given).expanduser()
    found = sorted(path for path in root.glob("*.json") if "split" in path.name)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ZooError(f"expected one JSON file with 'splits' in its name in {root}, found {names}: give it by splits")
    return found[0]


def _paths_and_labels(part: Any, path: Path, split: str) -> list[tuple[str, Any]]:
    paths, labels = (part.get("path"), part.get("label")) if isinstance(part, dict) else (part, None)
    if not isinstance(paths, list) or not all(isinstance(item, str) for item in paths):
        raise ZooError(f"{path}: {split!r} should be a list of paths, or have one under 'path'")
    if labels is None:
        return [(item, None) for item in paths]
    if not isinstance(labels, list) or len(labels) != len(paths):
        raise ZooError(f"{path}: {split!r} should have as many labels as paths ({len(paths)})")
    return list(zip(paths, labels, strict=True))


def _reroot(paths: list[str], root: Path) -> list[str]:
    """Converts paths of another machine or folder to paths below ``root``, by removing the part of the common prefix
    without which most files are found.
    """
    pure = [PurePosixPath(path.replace("\\", "/")) for path in paths]
    common = PurePosixPath(os.path.commonpath(p.parent for p in pure)).parts if _alike(pure) else ()
    sample = pure[:: max(1, len(pure) // 200)]
    cuts = range(1 if common and pure[0].is_absolute() else 0, len(common) + 1)

    def found(cut: int) -> int:
        return sum((root / PurePosixPath(*p.parts[cut:])).is_file() for p in sample)

    best = max(cuts, key=lambda cut: (found(cut), -cut))
    return [PurePosixPath(*p.parts[best:]).as_posix() for p in pure]


def _alike(paths: list[PurePosixPath]) -> bool:
    return bool(paths) and len({path.is_absolute() for path in paths}) == 1


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
