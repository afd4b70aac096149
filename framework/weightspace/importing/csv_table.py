"""CSV files with one header line, of which some may be gzipped."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from weightspace.errors import ZooError
from weightspace.files import read_regular
from weightspace.files.reading import reading
from weightspace.sources.gz import gunzip

#: Bytes of such a file, unpacked: the largest of the Small CNN Zoo has about 100 MB.
LIMIT = 1_000_000_000


class CSVTable:
    """The columns of a CSV file.

    Args:
        path: the file, gzipped if its name ends in .gz.
        required: columns that it must have.
        most: rows that it may have.

    Attributes:
        columns: names of all columns in their order.

    Raises:
        ZooError: the file is missing, damaged or too large, or lacks a column.
    """

    def __init__(self, path: Path, required: Sequence[str], most: int) -> None:
        self.path, self.most = path, most
        with reading(self._refuse):
            self._content = gunzip(path, LIMIT) if path.suffix == ".gz" else read_regular(path, LIMIT)
        self.columns = next(self._lines(), [])
        missing = [name for name in required if name not in self.columns]
        if missing or len(set(self.columns)) < len(self.columns):
            twice = next((name for name in self.columns if self.columns.count(name) > 1), None)
            problem = f"no column {', '.join(missing)}" if missing else f"two columns {twice!r}"
            found = ", ".join(filter(None, self.columns))[:500] or "none"
            raise ZooError(f"{path} has {problem}: expected {', '.join(required)}, found {found}")

    def rows(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Yields the entries of each row in these columns, without surrounding spaces.

        Raises:
            ZooError: a row has another number of entries than there are columns, or there are too many rows.
        """
        places, lines = [self.columns.index(name) for name in names], self._lines()
        next(lines, None)
        for number, cells in enumerate(filter(None, lines), start=1):
            if len(cells) != len(self.columns):
                raise ZooError(f"{self.path}: row {number} has {len(cells)} entries for {len(self.columns)} columns")
            if number > self.most:
                raise ZooError(f"{self.path} has more rows than {self.most:,}")
            yield [cells[place] for place in places]

    def _lines(self) -> Iterator[list[str]]:
        text = io.TextIOWrapper(io.BytesIO(self._content), encoding="utf-8-sig", newline="")
        try:
            for cells in csv.reader(text):
                yield [cell.strip() for cell in cells]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ZooError(f"{self.path} cannot be read as CSV in UTF-8: {error}") from error

    def _refuse(self, error: Exception) -> ZooError:
        reason = getattr(error, "strerror", None) or error
        return ZooError(f"{self.path} cannot be read: {reason}")
