"""Zoos that several commands make, of which the first leaves a zoo already: a note beside it until all have ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def note_of(zoo: str | Path) -> Path:
    """The file that lies beside a zoo while it is being made."""
    path = Path(zoo).expanduser()
    return path.with_name(f"{path.name}.unfinished")


@contextmanager
def noted(zoo: str | Path) -> Iterator[None]:
    """Keeps the note until the block has ended; whatever cuts it leaves the note, unless there is no zoo yet."""
    note = note_of(zoo)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    try:
        yield
    except BaseException:
        if not (Path(zoo).expanduser() / "zoo.json").is_file():
            note.unlink()
        raise
    note.unlink()
