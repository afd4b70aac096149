"""On drawings made here in the package's folders, and on the package's own, where it is installed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from weightspace.errors import SourceError
from weightspace.sources.clip_art import CLASS_NAMES, SYSTEM_FOLDER, clip_art
from weightspace.sources.drawing import read_drawing
from weightspace.testing import source_checks


def page(width: int, height: int, box: tuple[int, int, int, int], colour: str) -> Image.Image:
    """A transparent page (of black, which must not show) with a rectangle, whose corners are included."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle(box, fill=colour)
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two drawings of each class, the second one in a folder of its own."""
    root = tmp_path / "png"
    for number, kind in enumerate(CLASS_NAMES):
        (root / kind / "more").mkdir(parents=True)
        page(60, 40, (10, 5, 49, 12), f"hsl({36 * number}, 100%, 50%)").save(root / kind / "a.png")
        page(40, 60, (10, 5, 17, 44), f"hsl({36 * number}, 100%, 50%)").save(root / kind / "more" / "b.png")
    return root


def test_drawings_of_the_ten_folders(folder: Path) -> None:
    source = clip_art(str(folder), size=16)
    assert (source.name, len(source), source.num_test, source.image_shape) == ("clip-art", 20, 0, (16, 16, 3))
    assert source.labels.tolist() == [number // 2 for number in range(20)]
    assert source.class_names == CLASS_NAMES == tuple(sorted(CLASS_NAMES))
    assert source.left_out == ()
    assert source.license == "CC-PDDC"
    assert source.arguments == {"path": str(folder), "size": 16}
    assert clip_art(**source.arguments).digest == source.digest


def test_a_drawing_is_cut_to_what_it_shows_and_padded_without_distortion(tmp_path: Path) -> None:
    page(100, 60, (30, 10, 69, 29), "red").save(tmp_path / "a.png")
    image = read_drawing(tmp_path / "a.png", 20)
    assert (image[5:15] == (255, 0, 0)).all(), "40 x 20 become 20 x 10"
    assert (image[:5] == 255).all()
    assert (image[15:] == 255).all()


def test_what_is_half_transparent_is_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert np.unique(read_drawing(tmp_path / "a.png", 10)).tolist() == [127]
    Image.new("LA", (20, 20), (0, 255)).save(tmp_path / "b.png")
    assert np.unique(read_drawing(tmp_path / "b.png", 10)).tolist() == [0]


def test_a_drawing_that_is_a_line_is_a_line(tmp_path: Path) -> None:
    page(500, 20, (0, 10, 499, 10), "black").save(tmp_path / "a.png")
    image = read_drawing(tmp_path / "a.png", 2)
    assert (image == 0).all(2).sum() == 2


@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(folder: Path, number: int) -> None:
    source_checks(lambda: clip_art(str(folder), size=9))[number]()


def test_unfit_drawings_are_left_out_and_listed(folder: Path) -> None:
    expected = clip_art(str(folder), size=16)
    whole = (folder / "food/a.png").read_bytes()
    (folder / "food/cut.png").write_bytes(whole[:-40])
    (folder / "food/text.png").write_text("not a picture")
    Image.new("RGBA", (60, 60), (255, 0, 0, 0)).save(folder / "food/empty.png")
    page(60, 60, (20, 20, 29, 25), "red").save(folder / "food/small.png")
    elsewhere = page(90, 60, (40, 5, 79, 12), f"hsl({36 * 3}, 100%, 50%)")  # what food/a.png shows, on another page
    elsewhere.save(folder / "food/z.png")
    page(60, 60, (5, 5, 44, 44), "navy").save(folder / "plants/salad.png")
    (folder / "food/salad.png").symlink_to("../plants/salad.png")
    os.mkfifo(folder / "food/pipe.png")
    (folder / "food/notes.txt").touch()
    (folder / "computer").mkdir()
    (folder / "signs").mkdir()
    source = clip_art(str(folder), size=16)
    assert source.digest == expected.digest
    left_out = dict(source.left_out)
    assert left_out.pop("food/cut.png").startswith("cannot be read as an image (")
    assert left_out.pop("food/text.png").startswith("cannot be read as an image (")
    assert left_out == {
        "food/empty.png": "is empty, or white on white",
        "food/small.png": "is too small for 16 pixels: what it shows has 10 x 6",
        "food/z.png": "equal to another one: food/a.png",
        "food/salad.png": "in several classes: food, plants",
        "plants/salad.png": "in several classes: food, plants",
        "food/pipe.png": "not a regular file",
        "food/notes.txt": "of another kind than .png",
        "computer": "not the folder of a class, and 1 more like it",
    }


def test_drawings_are_read_once_until_a_file_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("WEIGHTSPACE_CACHE", str(cache))
    (folder / "food/text.png").write_text("not a picture")
    first = clip_art(str(folder), size=16)
    (memory,) = (cache / "drawings").iterdir()
    written = memory.stat().st_mtime_ns
    again = clip_art(str(folder), size=16)
    assert (again.digest, again.left_out) == (first.digest, first.left_out)
    assert memory.stat().st_mtime_ns == written
    assert clip_art(str(folder), size=20).image_shape == (20, 20, 3)
    page(60, 60, (5, 5, 44, 44), "navy").save(folder / "food/a.png")
    assert (clip_art(str(folder), size=16).images[6] == (0, 0, 128)).all()
    assert len(list((cache / "drawings").iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: b""])
def test_a_damaged_or_unwritable_cache_is_only_slow(
    damage, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("WEIGHTSPACE_CACHE", str(cache))
    expected = clip_art(str(folder), size=16).digest
    (memory,) = (cache / "drawings").iterdir()
    memory.write_bytes(damage(memory.read_bytes()))
    assert clip_art(str(folder), size=16).digest == expected
    monkeypatch.setenv("WEIGHTSPACE_CACHE", str(memory))
    assert clip_art(str(folder), size=16).digest == expected


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (lambda root: (root / "food/a.png").unlink(), {"size": 1}, "size must be in 2..4,096, found 1"),
        (
            lambda root: (root / "tools").rename(root / "weapons"),
            {},
            r"which lacks tools: give the path of their folder",
        ),
        (lambda root: None, {"size": 100}, r"no drawing can be used \(20 of them: is too small for 100 pixels\)"),
    ],
)
def test_bad_requests_are_refused(spoil, arguments: dict[str, int], message: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(SourceError, match=message):
        clip_art(str(folder), **arguments)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"expected the folders animals, .* in .*, which lacks them: give the path"):
        clip_art(str(tmp_path))


@pytest.mark.long
@pytest.mark.skipif(
    not SYSTEM_FOLDER.is_dir(), reason="needs Debian's package openclipart-png (apt-get install openclipart-png)"
)
def test_the_real_drawings() -> None:
    source = clip_art()
    assert source.arguments == {"size": 32}
    assert len(source) + len([name for name, _ in source.left_out if name.endswith(".png")]) == 2564
    assert len(source) > 2000
    assert np.bincount(source.labels, minlength=10).min() > 30
    assert len({image.tobytes() for image in source.images}) == len(source)
