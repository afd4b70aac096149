"""Finding labelled files in class folders, with or without split folders around or within them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from weightspace.errors import WeightspaceError
from weightspace.files.names import split_called
from weightspace.files.walk import most_frequent, walk

#: The splits that a source's folders can be, in the order of its objects.
POOLS = ("train", "val", "test")


@dataclass(frozen=True)
class ClassFolders:
    """The labelled files of a folder.

    Attributes:
        pools: (class, name of the file below the folder) of training, validation and test files, each in a fixed
            order; without split folders, all are training files.
        left_out: (name, reason) of the files that are not used.
    """

    pools: tuple[list[tuple[str, str]], ...]
    left_out: list[tuple[str, str]]


def class_folders(root: Path, endings: Collection[str], what: str, error: type[WeightspaceError]) -> ClassFolders:
    """Finds the files of ``<class>/*``, ``<split>/<class>/*`` or ``<class>/<split>/*``.

    Args:
        root: the folder.
        endings: wanted file endings, with the dot, in lower case.
        what: what the files are, in the plural, for messages.
        error: the error type to raise.

    Raises:
        WeightspaceError: of the class ``error``: no folder, no such files, or some within folders of splits and some
            without.
    """
    if not root.is_dir():
        raise error(f"expected {what} in {root}/<class>/, which is not a folder")
    found = walk(root, endings, error)
    pools: dict[str, list[tuple[str, str]]] = {split: [] for split in POOLS}
    left_out, read = [], []
    for name in found.files:
        kind, split = class_and_split(name)
        if kind is None or name.count("/") > (1 if split is None else 2) or split not in (None, *POOLS):
            left_out.append((name, "not in the folder of a class: expected <class>/<file>"))
        else:
            pools[split or "train"].append((kind, name))
            read.append((name, kind, split))
    left_out += found.left_out
    if not pools["train"]:
        where = f"{root}/train/<class>/" if read else f"{root}/<class>/ or {root}/train/<class>/"
        raise error(f"expected {what} ({' '.join(sorted(endings))}) in {where}, found none: {most_frequent(left_out)}")
    check_divided(root, read, error)
    order = (sorted(pool, key=lambda item: (item[0], item[1].split("/"))) for pool in pools.values())
    return ClassFolders(tuple(order), left_out)


def class_and_split(name: str) -> tuple[str | None, str | None]:
    """The class and the split of a file, by the folders in which it lies.

    >>> class_and_split("cat/1.png"), class_and_split("train/cat/1.png"), class_and_split("cat/valid/1.png")
    (('cat', None), ('cat', 'train'), ('cat', 'val'))
    """
    folders = name.split("/")[:-1]
    if len(folders) > 1 and (split := split_called(folders[0])):
        return folders[-1], split
    if len(folders) > 1 and (split := split_called(folders[-1])):
        return folders[-2], split
    return (folders[-1] if folders else None), None


def check_divided(
    root: Path, files: Sequence[tuple[str, str | None, str | None]], error: type[WeightspaceError], hint: str = ""
) -> None:
    """Checks that all files, given as (name, class, split), lie in folders of splits, or none does.

    Raises:
        WeightspaceError: of the class ``error``; ``hint`` says what else could be done.
    """
    kinds = {kind for _, kind, _ in files}
    outside = [name for name, _, split in files if split is None]
    if outside and all(kind is not None and split_called(kind) for kind in kinds):
        raise error(
            f"{root} looks like the folder of one class, with folders of splits in it: give the one above{hint}"
        )
    if outside and len(outside) < len(files):
        raise error(
            f"{root}: {outside[0]} is in no folder of a split (train, val, test), as others are: move it into one, or "
            f"out of {root.name}{hint}"
        )
