from __future__ import annotations

import gzip
import hashlib
import threading
import tracemalloc
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from weightspace.errors import SourceError
from weightspace.sources import fashion_mnist, load_source
from weightspace.sources.idx import idx, read_idx


@pytest.mark.parametrize("zipped", [True, False])
def test_reads_the_four_files(tmp_path: Path, idx_family, zipped: bool) -> None:
    idx_family(tmp_path, zipped)
    source = load_source("idx", path=str(tmp_path))
    assert (len(source), source.num_train, source.num_test, source.image_shape) == (18, 12, 6, (5, 4, 1))
    values = source.values(torch.tensor([3, 17]))
    expected = source.images[[3, 17]].reshape(2, 20, 1) / 255
    assert np.abs(values.numpy() - expected).max() < 1e-6
    assert source.coordinates()[0].tolist() == [-1, -1]
    assert source.coordinates()[1].tolist() == pytest.approx([-1, -1 / 3])
    assert source.digest == idx(str(tmp_path)).digest


def test_a_missing_file_is_named(tmp_path: Path, idx_family) -> None:
    idx_family(tmp_path, zipped=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(SourceError, match=r"t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in .*no such file"):
        idx(str(tmp_path))
    with pytest.raises(SourceError, match="is not a folder"):
        idx(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("damage", ["truncated", "longer", "foreign", "empty"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    content = b"\0\0\x08\x03" + b"\0\0\0\x03" + 2 * b"\0\0\0\x02" + bytes(12)
    path = tmp_path / "train-images-idx3-ubyte"
    changed = {"truncated": content[:-1], "longer": content + b"x", "foreign": b"PK" + content, "empty": b""}
    path.write_bytes(changed[damage])
    with pytest.raises(SourceError, match=str(path)):
        read_idx(path)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\x03\xe8" + bytes(1000))[:-9])
    with pytest.raises(SourceError, match="cannot be read"):
        read_idx(path)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A local web server; yields its address and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/", folder
        http.shutdown()
        thread.join()


def test_downloads_checks_and_keeps(tmp_path: Path, idx_family, server: tuple[str, Path]) -> None:
    url, served = server
    contents = idx_family(served, zipped=True)
    sums = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in contents.items()}
    cache = fashion_mnist.fetch(tmp_path / "cache", url, sums)
    assert idx(str(cache)).digest == idx(str(served)).digest
    for name in contents:
        (served / name).unlink()
    fashion_mnist.fetch(tmp_path / "cache", url, sums)  # all there: the server is not asked again
    (cache / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(SourceError, match=r"t10k-labels.*could not be downloaded"):
        fashion_mnist.fetch(tmp_path / "cache", url, sums)


def test_a_wrong_checksum_is_refused_and_not_kept(tmp_path: Path, idx_family, server: tuple[str, Path]) -> None:
    url, served = server
    sums = {name: f"md5:{'0' * 32}" for name in idx_family(served, zipped=True)}
    with pytest.raises(SourceError, match=r"could not be downloaded.*hash"):
        fashion_mnist.fetch(tmp_path / "cache", url, sums)
    assert not list((tmp_path / "cache").glob("*.gz"))


def test_looks_in_the_system_folder_then_in_the_cache_then_downloads(tmp_path: Path, idx_family, server) -> None:
    url, served = server
    sums = {n: f"md5:{hashlib.md5(c).hexdigest()}" for n, c in idx_family(served, zipped=True).items()}
    system, cache = tmp_path / "system", tmp_path / "cache"
    system.mkdir()
    (system / "train-images-idx3-ubyte").touch()  # not all four: not used
    assert fashion_mnist.locate(system, cache, url, sums) == cache
    assert sorted(p.name for p in cache.iterdir()) == sorted(sums)
    for name in sums:
        (served / name).unlink()
    assert fashion_mnist.locate(system, cache, url, sums) == cache
    idx_family(system, zipped=False)
    assert fashion_mnist.locate(system, cache, url, sums) == system


def test_a_corrupted_gzip_is_named(tmp_path: Path, idx_family) -> None:
    idx_family(tmp_path, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[12:40] = bytes(b ^ 0xFF for b in content[12:40])
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{path}: cannot be read"):
        idx(str(tmp_path))


def test_sets_that_do_not_belong_together_are_refused(tmp_path: Path, idx_family) -> None:
    idx_family(tmp_path, zipped=False)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(b"\0\0\x08\x01\0\0\0\x05" + bytes(5))
    with pytest.raises(SourceError, match=r"t10k-images.*as many images as labels.*\(6, 5, 4\) and \(5,\)"):
        idx(str(tmp_path))


def test_a_given_folder_wins(tmp_path: Path, idx_family) -> None:
    idx_family(tmp_path, zipped=True)
    source = load_source("fashion-mnist", path=str(tmp_path))
    assert (source.name, source.class_names[9], len(source)) == ("fashion-mnist", "ankle boot", 18)


@pytest.mark.skipif(
    not fashion_mnist.SYSTEM_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist (apt-get install)"
)
def test_the_real_data_set() -> None:
    source = load_source("fashion-mnist")
    assert (source.num_train, source.num_test, source.image_shape) == (60_000, 10_000, (28, 28, 1))
    assert np.bincount(source.labels).tolist() == [7000] * 10
    assert source.arguments == {}


def test_digits() -> None:
    source = load_source("digits")
    assert (len(source), source.num_test, source.image_shape) == (1797, 0, (8, 8, 1))
    values = source.values(torch.arange(1797))
    assert (float(values.min()), float(values.max())) == (0, 1)


def test_unknown_names_and_arguments_are_refused() -> None:
    with pytest.raises(SourceError, match=r"unknown source 'digit': did you mean 'digits'\?.*weightspace 0"):
        load_source("digit")
    with pytest.raises(SourceError, match=r"'digits': .* 'path'; it takes no arguments"):
        load_source("digits", path="x")


@pytest.mark.parametrize("promise", [b"\xff\xff\xff\xff", b"\0\0\0\x64"], ids=["as much", "less"])
def test_a_file_unpacks_to_no_more_than_its_header_says(promise: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x01" + promise)
        for _ in range(100):
            file.write(bytes(1_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"labels-idx1.*(cannot hold|more than 108 bytes)"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_device_is_not_read(ending: str, tmp_path: Path, idx_family) -> None:
    idx_family(tmp_path, zipped=bool(ending))
    path = tmp_path / f"t10k-labels-idx1-ubyte{ending}"
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(SourceError, match=r"t10k-labels-idx1-ubyte.*(no such file|is a device, not a regular file)"):
        idx(str(tmp_path))
    with pytest.raises(SourceError, match="is a device, not a regular file"):
        read_idx(path)
