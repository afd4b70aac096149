"""What users hand in is read only if it is a regular file of a bounded size, whatever it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from weightspace.errors import ZooError
from weightspace.files import JSON_LIMIT, FileRefusedError
from weightspace.fitting.verify import verify
from weightspace.importing.files import dwsnets
from weightspace.importing.spec_file import read_spec
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE
from weightspace.zoo.journal import JOURNAL, cut_halves

READ: dict[str, tuple[str, Callable[[Path, Zoo], object]]] = {
    "splits": ("splits.json", lambda folder, zoo: dwsnets(folder)),
    "splits by name": ("mine.json", lambda folder, zoo: dwsnets(folder, splits=str(folder / "mine.json"))),
    "architecture": ("spec.json", lambda folder, zoo: read_spec(folder / "spec.json")),
    "digest of a zoo": (FILE, lambda folder, zoo: zoo.digest),
    "verify": (FILE, lambda folder, zoo: list(verify(zoo, 0))),
    "zoo": (FILE, lambda folder, zoo: Zoo(folder)),
    "journal": (JOURNAL, lambda folder, zoo: cut_halves(folder)),
}


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _large(path: Path) -> None:
    path.touch()
    os.truncate(path, JSON_LIMIT + 1)  # sparse


@pytest.mark.timeout(60, func_only=True)  # a fifo is waited for, for ever
@pytest.mark.parametrize(
    ("make", "found"), [(_fifo, "is a fifo, not a regular file"), (_large, "64,000,001 bytes are too many")]
)
@pytest.mark.parametrize("kind", READ)
def test_what_is_no_file_of_a_bounded_size_is_refused(
    tmp_path: Path, digits_zoo: Path, kind: str, make: Callable[[Path], None], found: str
) -> None:
    folder = tmp_path / "zoo"
    shutil.copytree(digits_zoo, folder)
    name, read = READ[kind]
    zoo = Zoo(folder)
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    with pytest.raises((ZooError, FileRefusedError), match=found):
        read(folder, zoo)
