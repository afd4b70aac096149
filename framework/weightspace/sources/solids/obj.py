"""Wavefront's OBJ files: vertices and polygons; normals, textures, materials and groups are passed over."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np

from weightspace.files.limits import FACES, VERTICES
from weightspace.sources.solids.off import Polygons
from weightspace.sources.solids.polygons import MeshError

#: Lines of vertices and faces, which are counted before any is read.
COUNTED = (
    (re.compile(rb"^[ \t]*v[ \t]", re.MULTILINE), VERTICES, "vertices"),
    (re.compile(rb"^[ \t]*f[ \t]", re.MULTILINE), FACES, "faces"),
)
VERTEX = re.compile(rb"^[ \t]*v[ \t]+(\S+[ \t]+\S+[ \t]+\S+)", re.MULTILINE)
FACE = re.compile(rb"^[ \t]*f[ \t]+([^#\n]*)", re.MULTILINE)
LINE = re.compile(rb"^[ \t]*v[ \t].*$", re.MULTILINE)
COMMENT = re.compile(rb"#[^\n]*")
#: A line of a vertex or a face, and those in which it goes on but the last. Possessive (++): a way back from each of
#: millions of lines would take hundreds of megabytes.
CONTINUED = re.compile(rb"^[ \t]*[vf][ \t](?:[^\n]*\\\n)++", re.MULTILINE)
#: Numbers of a corner's texture coordinates and normal.
FURTHER = re.compile(rb"/[^ \t\n]*")


def read_obj(content: bytes) -> Polygons:
    """Reads vertices and polygons.

    Returns:
        (V, 3) float64 vertices, (C,) int64 corners of all faces, (n,) int64 numbers of corners. Faces of fewer than
        three corners are left out.

    Raises:
        MeshError: too many vertices or faces, a vertex without three coordinates, or a face that names one that is not
            there.
        ValueError: something that is no number.
    """
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    content = COMMENT.sub(b"", content.removeprefix(b"\xef\xbb\xbf"))
    content = CONTINUED.sub(lambda lines: lines[0].replace(b"\\\n", b" "), content)
    vertices, faces = (_count(content, *counted) for counted in COUNTED)
    found = VERTEX.findall(content)
    if len(found) != vertices:
        wrong = next(line[0] for line in LINE.finditer(content) if not VERTEX.match(line[0]))
        raise MeshError(f"not a vertex: {wrong[:50].decode(errors='replace')!r}")
    points = _numbers(found, np.float64).reshape(-1, 3)
    lines = b"".join(line + b"\n" for line in FACE.findall(content))
    lengths = _words(lines, faces)
    named = _numbers([FURTHER.sub(b"", lines)], np.int64)
    if len(named) != lengths.sum():
        raise MeshError("a face has a corner that is no number")
    corners = named - 1
    if (named < 0).any():  # counted backwards from the last vertex before the face
        corners = np.where(named < 0, np.repeat(_before(content), lengths) + named, corners)
    outside = np.flatnonzero((corners < 0) | (corners >= vertices))
    if len(outside):
        raise MeshError(f"a face names vertex {named[outside[0]]} of {vertices}")
    kept = lengths > 2
    return points, corners[np.repeat(kept, lengths)], lengths[kept]


def _count(content: bytes, pattern: re.Pattern[bytes], limit: int, name: str) -> int:
    count = sum(1 for _ in pattern.finditer(content))
    if count > limit:
        raise MeshError(f"{count:,} {name} are too many (at most {limit:,})")
    return count


def _words(lines: bytes, count: int) -> np.ndarray:
    """(count,) number of words of each line; none of them is copied before their number is known to be in bounds."""
    letters = np.frombuffer(lines, np.uint8)
    space = letters <= ord(" ")
    begins = ~space
    begins[1:] &= space[:-1]
    if np.count_nonzero(begins) - 2 * count > FACES:
        raise MeshError(f"its faces make more triangles than the {FACES:,} that are read")
    ends = np.searchsorted(np.flatnonzero(begins), np.flatnonzero(letters == ord("\n")))
    return np.diff(ends, prepend=0)


def _numbers(texts: Sequence[bytes], kind: type[np.generic]) -> np.ndarray:
    """All numbers of some texts; ValueError: something else is there."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what numpy says of text that is no number
        try:
            return np.fromstring(b"\n".join(texts), dtype=kind, sep=" ")
        except (DeprecationWarning, ValueError) as error:
            raise ValueError("a vertex or a face has something that is no number") from error


def _before(content: bytes) -> np.ndarray:
    """(n,) how many vertices come before each face."""
    vertices, faces = (
        np.fromiter((match.start() for match in pattern.finditer(content)), np.int64) for pattern in (VERTEX, FACE)
    )
    return np.searchsorted(vertices, faces)
