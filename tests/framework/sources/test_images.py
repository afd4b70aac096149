from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from weightspace.errors import SourceError, ZooError
from weightspace.fitting.job import ZooPlan
from weightspace.sources import load_source
from weightspace.testing import source_checks


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / split / label).mkdir(parents=True)
    gradient(60, 30).save(tmp_path / "train/cat/a.png")
    gradient(30, 60).save(tmp_path / "train/cat/b.jpg", quality=95)
    gradient(20, 20).convert("L").save(tmp_path / "train/dog/c.bmp")
    clear = gradient(20, 20).convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "test/dog/d.png")
    (tmp_path / "test/dog/notes.txt").write_text("not a picture")
    return tmp_path


def test_folders(folder: Path) -> None:
    source = load_source("images", path=str(folder), size=16)
    assert (len(source), source.num_train, source.image_shape) == (4, 3, (16, 16, 3))
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert source.images[3].max() == 0, "transparent pixels are black"
    assert np.ptp(source.images[2], axis=2).max() == 0, "a grey picture stays grey in colour"


def test_what_is_no_picture_of_a_class_is_told(folder: Path) -> None:
    (folder / "train/dog/.ipynb_checkpoints").mkdir()
    gradient(20, 20).save(folder / "train/dog/.ipynb_checkpoints/c-checkpoint.png")
    (folder / "train/dog/._c.bmp").write_bytes(b"\0")
    (folder / "train/dog/deep").mkdir()
    gradient(20, 20).save(folder / "train/dog/deep/e.png")
    source = load_source("images", path=str(folder), size=16)
    assert (len(source), source.class_names) == (4, ("cat", "dog"))
    expected = ["train/dog/deep/e.png", "test/cat", "test/dog/notes.txt", "train/dog/._c.bmp"]
    assert [name for name, _ in source.left_out] == expected


def test_an_own_validation_set(folder: Path) -> None:
    (folder / "val/cat").mkdir(parents=True)
    gradient(10, 10).save(folder / "val/cat/f.png")
    source = load_source("images", path=str(folder), size=16)
    assert (source.num_train, source.num_val, source.num_test) == (3, 1, 1)
    rows = ZooPlan(3, 1, 1).rows(source)
    assert [sorted(rows["object"][rows["split"] == split].tolist()) for split in range(3)] == [[0, 1, 2], [3], [4]]
    with pytest.raises(ZooError, match="has 3 training and 1 validation and 1 test objects"):
        ZooPlan(3, 2, 1).rows(source)
    shutil.rmtree(folder / "test")
    rows = ZooPlan(2, 1, 1).rows(load_source("images", path=str(folder), size=16))
    assert set(rows["object"][rows["split"] != 1].tolist()) == {0, 1, 2}


def test_without_a_split(folder: Path) -> None:
    source = load_source("images", path=str(folder / "train"), size=16)
    assert (len(source), source.num_test) == (3, 0)


def test_resize_rules(folder: Path) -> None:
    wide = {
        rule: load_source("images", path=str(folder), size=30, resize=rule).images[0]
        for rule in ("crop", "stretch", "pad")
    }
    assert wide["crop"][15, 0, 0] == pytest.approx(64, abs=4), "the middle half of the width"
    assert wide["stretch"][15, 0, 0] < 8
    assert wide["pad"][:7].max() == 0
    assert wide["pad"][15].max() > 200


def test_grey(folder: Path) -> None:
    source = load_source("images", path=str(folder), size=20, colour="grey")
    assert source.image_shape == (20, 20, 1)
    expected = np.asarray(gradient(20, 20).convert("L"))
    assert np.array_equal(source.images[2][..., 0], expected)


@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(folder: Path, number: int) -> None:
    source_checks(lambda: load_source("images", path=str(folder), size=9))[number]()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colour": "cmyk"}, "colour must be grey or rgb, found 'cmyk'"),
        ({"resize": "tile"}, "resize must be"),
        ({"size": 1}, "size must be in 2..4,096, found 1"),
        ({"sizes": 1}, "unexpected keyword argument 'sizes'; it takes path, size, colour, resize"),
        ({"path": "/nowhere"}, "which is not a folder"),
    ],
)
def test_bad_arguments(folder: Path, arguments: dict, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        load_source("images", **{"path": str(folder), **arguments})


def test_a_damaged_picture_is_named(folder: Path) -> None:
    path = folder / "train/cat/a.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SourceError, match=r"a.png: cannot be read as an image"):
        load_source("images", path=str(folder))


def test_sixteen_bits_beside_eight(folder: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 16), (16, 1))
    Image.fromarray(np.round(ramp * 255).astype(np.uint8)).save(folder / "train/cat/u.png")
    Image.fromarray(np.round(ramp * 65535).astype(np.uint16)).save(folder / "train/cat/v.png")
    eight, sixteen = load_source("images", path=str(folder), size=16, colour="grey").images[2:4]
    assert np.array_equal(eight, sixteen)
    assert len(np.unique(sixteen)) == 16
