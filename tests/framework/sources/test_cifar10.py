"""On files made here in the release's formats: the data itself is not part of the tests."""

from __future__ import annotations

import gzip
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from weightspace.errors import SourceError
from weightspace.files.limits import ARCHIVE_BYTES
from weightspace.sources import load_source
from weightspace.sources.cifar10 import TEST, TRAINING
from weightspace.testing import source_checks


def batches() -> dict[str, tuple[np.ndarray, list[int]]]:
    rng = np.random.default_rng(0)
    pixels = {name: rng.integers(0, 256, (4, 3072), dtype=np.uint8) for name in (*TRAINING, TEST)}
    return {name: (array, rng.integers(0, 10, 4).tolist()) for name, array in pixels.items()}


@pytest.fixture(params=["python", "binary"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / ("cifar-10-batches-py" if request.param == "python" else "cifar-10-batches-bin")
    folder.mkdir()
    for name, (pixels, labels) in batches().items():
        if request.param == "python":
            data = {b"batch_label": name.encode(), b"labels": labels, b"data": pixels, b"filenames": [b"a.png"] * 4}
            (folder / name).write_bytes(pickle.dumps(data, protocol=2))
        else:
            records = np.concatenate([np.array(labels, dtype=np.uint8)[:, None], pixels], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def test_images_are_those_of_the_release(release: Path) -> None:
    source = load_source("cifar10", path=str(release))
    assert (len(source), source.num_train, source.image_shape) == (24, 20, (32, 32, 3))
    assert source.class_names[3] == "cat"
    pixels, labels = batches()["test_batch"]
    assert source.labels[20:].tolist() == labels
    red = pixels[1].reshape(3, 32, 32)[0]
    assert torch.equal(source.values(torch.tensor([21]))[0, :, 0], torch.from_numpy(red.flatten()).float() / 255)
    above = load_source("cifar10", path=str(release.parent))
    assert (above.digest, above.arguments) == (source.digest, source.arguments)


@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(release: Path, number: int) -> None:
    source_checks(lambda: load_source("cifar10", path=str(release)))[number]()


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("where", ["data", "extra"])
def test_a_pickle_that_asks_for_more_is_refused(release: Path, tmp_path: Path, where: str) -> None:
    if release.name.endswith("bin"):
        (release / "test_batch.bin").unlink()
        for name in (*TRAINING, TEST):
            (release / name).write_bytes(b"")
    trap = tmp_path / "trap"
    data = {b"labels": [1], b"data": np.zeros((1, 3072), dtype=np.uint8), where.encode(): Payload(trap)}
    (release / "data_batch_1").write_bytes(pickle.dumps(data))
    with pytest.raises(SourceError, match=r"data_batch_1.*asks for posix.mkdir"):
        load_source("cifar10", path=str(release))
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x02]q\x00.", b"cnumpy\nndarray\n)R.", b"\x07" * 3073])
def test_damaged_files_are_named(release: Path, content: bytes) -> None:
    name = "data_batch_2.bin" if release.name.endswith("bin") else "data_batch_2"
    (release / name).write_bytes(content + b"\x99")
    with pytest.raises(SourceError, match=name):
        load_source("cifar10", path=str(release))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected test_batch or test_batch.bin of CIFAR-10"):
        load_source("cifar10", path=str(tmp_path))


@pytest.fixture
def pickled(tmp_path: Path) -> Callable[..., Path]:
    """Writes the release with labels of another kind, pickled otherwise."""

    def write(protocol: int, convert: Callable[[list[int]], object], key: Callable[[str], object]) -> Path:
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir()
        for name, (pixels, labels) in batches().items():
            data = {key("labels"): convert(labels), key("data"): pixels, key("filenames"): [f"{name}.png"] * 4}
            (folder / name).write_bytes(pickle.dumps(data, protocol=protocol))
        return folder

    return write


@pytest.mark.parametrize("key", [str, str.encode], ids=["text", "bytes"])
@pytest.mark.parametrize(
    "convert",
    [list, np.array, lambda labels: list(np.array(labels)), lambda labels: list(np.array(labels, dtype=np.uint8))],
    ids=["ints", "array", "int64", "uint8"],
)
@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_all_protocols(protocol: int, convert, key, pickled: Callable[..., Path]) -> None:
    source = load_source("cifar10", path=str(pickled(protocol, convert, key)))
    assert source.labels.tolist() == [label for _, labels in batches().values() for label in labels]
    pixels = np.concatenate([pixels for pixels, _ in batches().values()])
    assert np.array_equal(source.images, pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("above", [False, True])
def test_an_archive_is_read_as_it_is(release: Path, tmp_path: Path, above: bool) -> None:
    unpacked = load_source("cifar10", path=str(release))
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(release, arcname=release.name if above else ".")
    source = load_source("cifar10", path=str(archive))
    assert source.digest == unpacked.digest
    assert source.arguments == {"path": str(archive)}
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(SourceError, match="release.tar.gz: cannot be read as a .tar.gz archive"):
        load_source("cifar10", path=str(archive))


def test_an_archive_unpacks_to_no_more_than_a_release_has(tmp_path: Path) -> None:
    archive = tmp_path / "release.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as file:
        for _ in range(ARCHIVE_BYTES // 10_000_000 + 1):
            file.write(bytes(10_000_000))
    with pytest.raises(SourceError, match="unpacks to more than 250,000,000 bytes"):
        load_source("cifar10", path=str(archive))


def test_a_batch_that_is_a_fifo_is_not_waited_for(release: Path) -> None:
    name = "data_batch_3.bin" if release.name.endswith("bin") else "data_batch_3"
    (release / name).unlink()
    os.mkfifo(release / name)
    with pytest.raises(SourceError, match=rf"{name}: cannot be read \(is a fifo, not a regular file\)"):
        load_source("cifar10", path=str(release))
