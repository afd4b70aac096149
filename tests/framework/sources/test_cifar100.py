"""On files made here in the release's formats: the data itself is not part of the tests."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from weightspace.errors import SourceError
from weightspace.sources.cifar100 import cifar100
from weightspace.testing import source_checks

FINE = [f"fine_{number}" for number in range(100)]
COARSE = [f"coarse_{number}" for number in range(20)]


def batch(seed: int, count: int) -> tuple[np.ndarray, list[int], list[int]]:
    rng = np.random.default_rng(seed)
    fine = rng.integers(0, 100, count)
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), fine.tolist(), (fine // 5).tolist()


@pytest.fixture(params=["python", "binary"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / f"cifar-100-{request.param}"
    folder.mkdir()
    for name, (pixels, fine, coarse) in {"train": batch(0, 12), "test": batch(1, 5)}.items():
        if request.param == "python":
            data = {b"fine_labels": fine, b"coarse_labels": coarse, b"data": pixels, b"batch_label": b""}
            (folder / name).write_bytes(pickle.dumps(data, protocol=2))
        else:
            records = np.concatenate([np.array([coarse, fine], dtype=np.uint8).T, pixels], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
    if request.param == "python":
        names = {b"fine_label_names": [n.encode() for n in FINE], b"coarse_label_names": [n.encode() for n in COARSE]}
        (folder / "meta").write_bytes(pickle.dumps(names, protocol=2))
    else:
        (folder / "fine_label_names.txt").write_text("\n".join(FINE) + "\n\n")
        (folder / "coarse_label_names.txt").write_text("\n".join(COARSE) + "\n")
    return folder


def test_images_are_those_of_the_release(release: Path) -> None:
    source = cifar100(str(release.parent))
    assert (source.name, len(source), source.num_train, source.image_shape) == ("cifar100", 17, 12, (32, 32, 3))
    assert source.class_names == tuple(FINE)
    (pixels, fine, coarse), (more, finer, coarser) = batch(0, 12), batch(1, 5)
    assert source.labels.tolist() == fine + finer
    whole = np.concatenate([pixels, more])
    assert np.array_equal(source.images, whole.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    twenty = cifar100(str(release), labels="coarse")
    assert twenty.class_names == tuple(COARSE)
    assert twenty.labels.tolist() == coarse + coarser
    assert cifar100(**twenty.arguments).digest == twenty.digest


def test_contract(release: Path) -> None:
    for check in source_checks(lambda: cifar100(str(release)))[:4]:  # without the fit, which CIFAR-10's test has
        check()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: next(folder.glob("te*t*")).unlink(), "test"),
        (lambda folder: [f.write_bytes(b"x") for f in folder.glob("*me*")], "meta|names"),
        (lambda folder: [f.unlink() for f in folder.glob("train*")], "expected train or train.bin of CIFAR-100 in"),
    ],
)
def test_what_is_missing_or_damaged_is_named(spoil: Callable[[Path], object], message: str, release: Path) -> None:
    spoil(release)
    with pytest.raises(SourceError, match=message):
        cifar100(str(release))


def test_other_labels_are_refused(release: Path) -> None:
    with pytest.raises(SourceError, match="labels must be fine or coarse, found 'medium'"):
        cifar100(str(release), labels="medium")
