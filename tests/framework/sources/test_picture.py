"""Every mode that a picture's file can have, as files."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image
from weightspace.errors import SourceError
from weightspace.files.limits import PIXELS
from weightspace.sources.picture import open_picture, read_picture

#: From black at the left to white at the right, in 16 steps.
RAMP = np.tile(np.linspace(0, 1, 16), (16, 1))
EIGHT = np.round(RAMP * 255).astype(np.uint8)
SIXTEEN = np.round(RAMP * 65535).astype(np.uint16)

PILLOW_13 = pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="reads no YCbCr that is not compressed")


def tiff(values: np.ndarray, photometric: int = 1, order: str = "<", **more: int) -> bytes:
    """A TIFF file of one sample per pixel, with the numbers as they are."""
    height, width = values.shape
    bits, kind = 8 * values.itemsize, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height}
    pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags |= {279: len(pixels), 339: kind} | {int(number): value for number, value in more.items()}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(pixels))
    return head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def pgm(top: int) -> bytes:
    return f"P5 16 16 {top}\n".encode() + np.round(RAMP * top).astype(">u2").tobytes()


def png(tmp_path: Path, image: Image.Image, **options: object) -> bytes:
    image.save(tmp_path / "made.png", **options)
    return (tmp_path / "made.png").read_bytes()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., np.ndarray]:
    def read(content: bytes, colour: str = "grey") -> np.ndarray:
        path = tmp_path / "picture.png"  # what is in it decides, not its name
        path.write_bytes(content)
        return read_picture(path, 16, colour, "crop")

    return read


@pytest.mark.parametrize(
    "content",
    [
        tiff(SIXTEEN),
        tiff(SIXTEEN, order=">"),
        tiff(65535 - SIXTEEN, photometric=0),
        pgm(65535),
        pgm(4095),
    ],
    ids=["little", "big", "white is zero", "pgm", "pgm of 12 bits"],
)
def test_sixteen_bits_are_scaled(content: bytes, read: Callable[..., np.ndarray]) -> None:
    assert np.abs(read(content)[..., 0].astype(int) - EIGHT).max() == 0
    assert np.ptp(read(content, "rgb"), axis=2).max() == 0


def test_sixteen_bits_of_png(tmp_path: Path, read: Callable[..., np.ndarray]) -> None:
    content = png(tmp_path, Image.fromarray(SIXTEEN))
    assert np.array_equal(read(content)[..., 0], EIGHT)
    clear = png(tmp_path, Image.fromarray(SIXTEEN), transparency=int(SIXTEEN[0, 8]))
    assert np.array_equal(read(clear)[..., 0], np.where(EIGHT[0, 8] == EIGHT, 0, EIGHT)), "clear is black"


def test_twelve_bits_of_tiff(read: Callable[..., np.ndarray]) -> None:
    values = np.round(RAMP * 4095).astype(int)
    first, second = values[:, 0::2], values[:, 1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=2).astype(np.uint8)
    content = tiff(packed.reshape(16, 24), **{"256": 16, "258": 12})
    assert np.array_equal(read(content)[..., 0], EIGHT)


def test_sixteen_bits_are_turned_as_exif_says(tmp_path: Path, read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down, and left for right
    content = png(tmp_path, Image.fromarray(SIXTEEN), exif=exif)
    assert np.array_equal(read(content)[..., 0], EIGHT[::-1, ::-1])
    assert np.array_equal(read(tiff(SIXTEEN, **{"274": 3}, order=">"))[..., 0], EIGHT[::-1, ::-1])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("u4", "32-bit"), ("i4", "32-bit"), ("i2", "32-bit or signed"), ("f4", "floating-point")],
)
def test_numbers_without_a_stated_range_are_refused(
    dtype: str, kind: str, order: str, read: Callable[..., np.ndarray]
) -> None:
    content = tiff((RAMP * 1000).astype(dtype), order=order)
    with pytest.raises(SourceError, match=rf"picture.png: (has {kind}.*rescale it to 8 or 16 bits|cannot be read)"):
        read(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", pytest.param("YCbCr", marks=PILLOW_13)])
def test_modes_of_eight_bits(mode: str, tmp_path: Path, read: Callable[..., np.ndarray]) -> None:
    grey = Image.fromarray(np.where(EIGHT > 127, 255, 0).astype(np.uint8) if mode == "1" else EIGHT)
    path = tmp_path / ("made.tif" if mode in ("CMYK", "YCbCr") else "made.png")
    (grey.quantize() if mode == "P" else grey.convert("RGB").convert(mode)).save(path)
    assert np.abs(read(path.read_bytes())[..., 0].astype(int) - np.asarray(grey)).max() <= (mode == "YCbCr")


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L", "RGB"])
def test_what_is_transparent_is_black_whatever_lies_below(mode: str, tmp_path: Path, read) -> None:
    """Half of a white picture is seen through: by its alpha channel, or by a colour that is named as clear."""
    left = np.where(np.arange(16) < 8, 0, 255).astype(np.uint8)[None].repeat(16, 0)
    if mode in ("LA", "RGBA"):
        image = Image.new(mode[:-1], (16, 16), "white")
        image.putalpha(Image.fromarray(left))
        content = png(tmp_path, image)
    else:  # a grey that only the clear pixels have
        image = Image.fromarray(np.where(left, 255, 100).astype(np.uint8)).convert(mode)
        clear = {"P": image.convert("P").getpixel((0, 0)), "L": 100, "RGB": (100, 100, 100)}[mode]
        content = png(tmp_path, image, transparency=clear)
    assert np.array_equal(read(content)[..., 0], left)
    half = Image.new("RGBA", (16, 16), (255, 255, 255, 128))
    assert set(read(png(tmp_path, half)).flatten()) == {128}


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L", "RGB", "I;16"])
def test_a_white_background_shows_where_a_picture_is_transparent(mode: str, tmp_path: Path) -> None:
    """A black picture whose left half is clear, as a channel or as a grey that only this half has."""
    left = np.where(np.arange(16) < 8, 0, 255).astype(np.uint8)[None].repeat(16, 0)
    options: dict[str, int | tuple[int, ...]] = {}
    if mode in ("LA", "RGBA"):
        image = Image.new(mode[:-1], (16, 16), "black")
        image.putalpha(Image.fromarray(left))
    else:
        grey = np.where(left, 0, 100).astype(np.uint16 if mode == "I;16" else np.uint8)
        image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray(grey).convert(mode)
        options["transparency"] = (100, 100, 100) if mode == "RGB" else image.getpixel((0, 0))
    image.save(tmp_path / "made.png", **options)
    assert np.array_equal(np.asarray(open_picture(tmp_path / "made.png", "grey", "white")), 255 - left)


def test_other_formats_are_not_opened(read: Callable[..., np.ndarray]) -> None:
    """Of PostScript, Pillow would start an interpreter."""
    with pytest.raises(SourceError, match="cannot be read as an image"):
        read(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("side", [9_500, 14_000])
def test_too_many_pixels_are_not_unpacked(side: int, read: Callable[..., np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"picture.png: has too many pixels \(at most {PIXELS:,}\)"):
        read(png(tmp_path, Image.new("1", (side, side))))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SourceError, match="pipe.png: is a fifo, not a regular file"):
        read_picture(tmp_path / "pipe.png", 16, "grey", "crop")
