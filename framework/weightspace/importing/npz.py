"""Checking .npz archives before they are unpacked."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

from weightspace.files import require_regular
from weightspace.files.limits import NPZ_BYTES, NPZ_RATIO

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def check_npz(path: Path) -> None:
    """Compares the claimed sizes of the arrays in an archive with its real size.

    Raises:
        ValueError: it unpacks to far more than its size, or an array claims more numbers than its entry contains.
        OSError, zipfile.BadZipFile: it is not a regular file, or not an archive.
    """
    size = require_regular(path)
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > max(NPZ_BYTES, NPZ_RATIO * size):
            raise ValueError(
                f"{size:,} bytes unpack to {claimed:,}, which is more than {NPZ_RATIO} times as many: "
                "save the arrays as .npy files in a folder"
            )
        for entry in archive.infolist():
            with archive.open(entry) as file:
                read_header = HEADERS.get(np.lib.format.read_magic(file))
                if read_header is None:
                    raise ValueError(f"{entry.filename} is written in another version of the format")
                shape, _, dtype = read_header(file)
                if math.prod(shape) * dtype.itemsize > entry.file_size:
                    raise ValueError(f"{entry.filename} claims an array {shape}, but has {entry.file_size:,} bytes")
