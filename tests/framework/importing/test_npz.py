from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from weightspace.errors import ZooError
from weightspace.importing.arrays import _load


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zoo.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("params.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (150, 10**6)})
        for _ in range(600):
            file.write(bytes(10**6))
    with pytest.raises(ZooError, match=r"zoo.npz cannot be read as arrays .*bytes unpack to 600,000,"):
        _load(path)


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zoo.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("params.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**3)})
    with pytest.raises(ZooError, match=r"params.npy claims an array \(1000000000, 1000\), but has 128 bytes"):
        _load(path)


def test_healthy_arrays_are_read_and_devices_are_not(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "zoo.npz", params=np.ones((3, 4), dtype=np.float32), target=np.zeros(3, dtype=int))
    assert _load(tmp_path / "zoo.npz")["params"].shape == (3, 4)
    (tmp_path / "zoo").mkdir()
    os.mkfifo(tmp_path / "zoo/params.npy")
    with pytest.raises(ZooError, match="params.npy: is a fifo, not a regular file"):
        _load(tmp_path / "zoo")
