"""Geomview's OFF files, as they are written: with normals, colours or texture coordinates, and line breaks anywhere."""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Iterator
from itertools import islice

import numpy as np

from weightspace.files.limits import FACES, VERTICES
from weightspace.sources.solids.polygons import MeshError

HEADER = re.compile(rb"\s*((?:ST)?C?N?4?N?OFF)(?=[\s\d])", re.IGNORECASE)
COUNTS = re.compile(rb"\s*(\d{1,18})(\s+)(\d{1,18})(?:([^\S\n]+)\d+)?(?=\s|$)")
#: Numbers of a colour: with or without opacity.
COLOUR = (4, 3)

Polygons = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_off(content: bytes) -> Polygons:
    """Reads vertices and polygons; colours, normals and texture coordinates are passed over.

    Returns:
        (V, 3) float64 vertices, (C,) int64 corners of all faces, (n,) int64 numbers of corners. Faces of fewer than
        three corners are left out.

    Raises:
        MeshError: it is not an OFF file, of another kind (binary, of four or n dimensions), truncated, or too large.
        ValueError: something that is no number.
    """
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"#" in content:
        content = re.sub(rb"#[^\n]*", b"", content)
    head = HEADER.match(content)
    if not head:
        raise MeshError("not an OFF file: it should begin with OFF and the counts of vertices and faces")
    kind = head[1].decode()
    if "4" in kind or "nOFF" in kind or kind.upper().count("N") > 1:
        raise MeshError(f"a file of the kind {kind}, in other than three dimensions, is not read: export it as OFF")
    if re.match(rb"\s*BINARY\b", content[head.end() : head.end() + 100]):
        raise MeshError("binary OFF is not read: export it as text")
    counts = COUNTS.match(content, head.end())
    if not counts:
        raise MeshError("not an OFF file: the counts of vertices and faces should follow OFF")
    vertices, faces = int(counts[1]), int(counts[3])
    for count, limit, name in ((vertices, VERTICES, "vertices"), (faces, FACES, "faces")):
        if count > limit:
            raise MeshError(f"{count:,} {name} are too many (at most {limit:,})")
    start = counts.end()
    try:
        return _by_lines(content, start, vertices, faces)
    except ValueError:
        if b"\n" in counts[2] and not counts[4]:  # the count of edges is on a line of its own, too
            edges = re.compile(rb"\s*\d+").match(content, start)
            start = edges.end() if edges else start
        for more in _columns(kind.upper()):
            found = _by_numbers(content, start, vertices, faces, 3 + more)
            if found is not None:
                return found
        raise


def _by_lines(content: bytes, start: int, vertices: int, faces: int) -> Polygons:
    """One vertex or face per line, whatever follows its numbers."""
    lines = enumerate(_lines(content, start), 1)
    points, corners, lengths = array("d"), array("q"), array("q")
    number = 0
    for number, line in islice(lines, vertices):
        points.extend(float(word) for word in line.split(None, 3)[:3])
        if len(points) != 3 * number:
            raise _complaint("vertex", line, number, vertices, faces, lines)
    for number, line in islice(lines, faces):
        count = int(head) if (head := line.split(None, 1)[0]).isdigit() and len(head) < 9 else -1
        if not 0 <= count <= FACES + 2 or len(words := line.split(None, count + 1)[1 : count + 1]) < count:
            raise _complaint("face", line, number, vertices, faces, lines)
        if count > 2:
            corners.extend(int(word) for word in words)
            lengths.append(count)
            _check_size(len(corners), len(lengths))
    if number < vertices + faces:
        raise _cut(vertices, faces, number)
    return _arrays(points, corners, lengths)


def _complaint(
    what: str, line: bytes, number: int, vertices: int, faces: int, rest: Iterator[tuple[int, bytes]]
) -> MeshError:
    """The error for a line that is neither vertex nor face: the file is truncated, or damaged there."""
    for last, _ in rest:
        number = last
    if number < vertices + faces:
        return _cut(vertices, faces, number)
    return MeshError(f"not a {what}: {line[:50].decode(errors='replace')!r}")


def _cut(vertices: int, faces: int, lines: int) -> MeshError:
    return MeshError(f"cut short: {vertices:,} vertices and {faces:,} faces, but only {lines:,} lines")


def _by_numbers(content: bytes, start: int, vertices: int, faces: int, width: int) -> Polygons | None:
    """A vertex of ``width`` numbers after the other, then faces, wherever lines end; None: it is not so, to the last
    number."""
    most = vertices * width + 3 * faces + FACES + 1  # a face has a count and two corners more than triangles
    words = (match[0] for match in re.compile(rb"\S+").finditer(content, start))
    try:
        numbers = np.array(array("d", map(float, islice(words, most))))
    except ValueError:
        return None
    place, corners, lengths = vertices * width, array("q"), array("q")
    if place > len(numbers):
        return None
    indices = numbers[place:].tolist()
    place = 0
    for _ in range(faces):
        if place >= len(indices) or not 0 <= (count := int(indices[place])) == indices[place]:
            return None
        if len(part := indices[place + 1 : place + 1 + count]) < count or any(number % 1 for number in part):
            return None
        place += 1 + count
        if count > 2:
            corners.extend(map(int, part))
            lengths.append(count)
    if place != len(indices):
        return None
    points = numbers[: vertices * width].reshape(-1, width)[:, :3]
    return _arrays(points.ravel(), corners, lengths)


def _columns(kind: str) -> list[int]:
    """Number of values that a vertex may have in addition to its coordinates."""
    fixed = (2 if "ST" in kind else 0) + (3 if "N" in kind else 0)
    return [fixed + colour for colour in COLOUR] if "C" in kind else [fixed]


def _arrays(points: array[float] | np.ndarray, corners: array[int], lengths: array[int]) -> Polygons:
    _check_size(len(corners), len(lengths))
    return (
        np.array(points, dtype=np.float64).reshape(-1, 3),
        np.array(corners, dtype=np.int64),
        np.array(lengths, dtype=np.int64),
    )


def _check_size(corners: int, faces: int) -> None:
    if corners - 2 * faces > FACES:
        raise MeshError(f"its faces make more triangles than the {FACES:,} that are read")


def _lines(content: bytes, start: int) -> Iterator[bytes]:
    """Lines that are not empty."""
    file = io.BytesIO(content)
    file.seek(start)
    file.readline()  # the rest of the line of the counts
    return (line for raw in file if (line := raw.strip()))
