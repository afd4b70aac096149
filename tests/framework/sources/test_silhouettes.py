"""On pickles made here in the package's format, and on the package's own, where it is installed."""

from __future__ import annotations

import gzip
import os
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from weightspace.errors import SourceError
from weightspace.sources.silhouettes import IMAGES, LABELS, LIMIT, silhouettes
from weightspace.testing import source_checks


def write(path: Path, content: object, protocol: int = 4) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(content, protocol)))


def arrays() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8), np.arange(20) % 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, array in zip((IMAGES, LABELS), arrays(), strict=True):
        write(tmp_path / name, array)
    return tmp_path


def test_images_are_those_of_the_arrays(folder: Path) -> None:
    source = silhouettes(str(folder))
    assert (source.name, len(source), source.num_test, source.image_shape) == ("silhouettes", 20, 0, (28, 28, 1))
    images, labels = arrays()
    assert np.array_equal(source.images[..., 0], images)
    assert np.array_equal(source.labels, labels)
    assert source.class_names[3] == "cow"
    assert torch.equal(source.values(torch.tensor([7]))[0, :, 0], torch.from_numpy(images[7].flatten()).float() / 255)
    assert source.license == "MIT"
    assert silhouettes(**source.arguments).digest == source.digest


@pytest.mark.parametrize("protocol", range(6))
def test_all_protocols_are_read(protocol: int, folder: Path) -> None:
    expected = silhouettes(str(folder)).digest
    for name, array in zip((IMAGES, LABELS), arrays(), strict=True):
        write(folder / name, array, protocol)
    assert silhouettes(str(folder)).digest == expected


@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(folder: Path, number: int) -> None:
    source_checks(lambda: silhouettes(str(folder)))[number]()


def test_equal_images_are_one_object(folder: Path) -> None:
    images, labels = arrays()
    images[12], images[15] = images[2], images[2]
    write(folder / IMAGES, images)
    source = silhouettes(str(folder))
    assert np.array_equal(source.images[..., 0], np.delete(images, [12, 15], axis=0))
    assert np.array_equal(source.labels, np.delete(labels, [12, 15]))
    assert source.left_out == tuple((f"image {n}", "equal to an earlier one: image 2") for n in (12, 15))


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_pickle_that_wants_to_run_code_is_refused_and_runs_nothing(name: str, folder: Path) -> None:
    trap = folder / "trap"
    write(folder / name, Payload(trap))
    with pytest.raises(
        SourceError, match=rf"{name}: cannot be read \(it asks for posix.mkdir, which is not plain data"
    ):
        silhouettes(str(folder))
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, [1, 2], "it holds no array"),
        (IMAGES, np.zeros((20, 28, 28)), "numbers of the type 'f8'"),
        (IMAGES, np.zeros((20, 28, 27), np.uint8), r"expected bytes \(n, 28, 28\), found uint8 \(20, 28, 27\)"),
        (IMAGES, np.zeros((0, 28, 28), np.uint8), r"found uint8 \(0, 28, 28\)"),
        (IMAGES, np.zeros((20, 28, 28), np.int16), r"found int16 \(20, 28, 28\)"),
        (LABELS, np.zeros(19, int), r"expected 20 classes, one per image, found \(19,\)"),
        (LABELS, np.arange(20), r"classes should be in 0..9, found 0..19"),
        (LABELS, np.arange(20) - 1, r"found -1..18"),
    ],
)
def test_other_data_are_refused(name: str, content: object, message: str, folder: Path) -> None:
    write(folder / name, content)
    with pytest.raises(SourceError, match=rf"{folder / name}: .*{message}"):
        silhouettes(str(folder))


@pytest.mark.parametrize("name", [IMAGES, LABELS])
@pytest.mark.parametrize("damage", ["truncated", "half a pickle", "foreign", "missing"])
def test_a_damaged_file_is_named(name: str, damage: str, folder: Path) -> None:
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        half = gzip.compress(gzip.decompress(content)[:-40])
        path.write_bytes({"truncated": content[:-20], "half a pickle": half, "foreign": b"1,2,3"}[damage])
    with pytest.raises(SourceError, match=rf"{path}: (cannot be read \(.+\)|there is no such file)"):
        silhouettes(str(folder))


def test_a_file_unpacks_to_no_more_than_the_limit(folder: Path) -> None:
    (folder / IMAGES).write_bytes(gzip.compress(bytes(LIMIT + 1)))
    with pytest.raises(SourceError, match="unpacks to more than 20,000,000 bytes"):
        silhouettes(str(folder))


@pytest.mark.skipif(
    find_spec("animal_mnist") is None, reason="needs the package animal-mnist (pip install --no-deps animal-mnist)"
)
def test_the_real_silhouettes() -> None:
    source = silhouettes()
    assert (len(source), len(source.left_out), source.arguments) == (9716, 284, {})
    assert (np.bincount(source.labels, minlength=10) > 800).all()
    assert len({image.tobytes() for image in source.images}) == len(source)
