"""PLY files, as text or binary of either byte order, whatever their properties and the number of a face's corners."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np

from weightspace.files.limits import FACES, VERTICES
from weightspace.sources.solids.polygons import MeshError

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "int64": "i8", "uint64": "u8",
    "float16": "f2", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
#: Names of the list of a face's corners.
CORNERS = ("vertex_indices", "vertex_index")
#: Bytes of a header.
HEADER = 1_000_000
#: Parts of binary rows that are read one by one.
PARTS = 10 * FACES

Polygons = tuple[np.ndarray, np.ndarray, np.ndarray]
Column = tuple[np.ndarray, np.ndarray]


@dataclass
class Element:
    """A table of the file: ``properties`` are (name, type of a list's length or None, type)."""

    name: str
    rows: int
    properties: list[tuple[str, str | None, str]] = field(default_factory=list)

    def wanted(self) -> list[str]:
        """The properties that make a mesh; the others are ignored."""
        if self.name == "vertex":
            return [name for name, count, _ in self.properties if count is None and name in ("x", "y", "z")]
        lists = [name for name, count, _ in self.properties if count is not None and self.name == "face"]
        return [name for name in CORNERS if name in lists][:1] or (lists if len(lists) == 1 else [])


def read_ply(content: bytes) -> Polygons:
    """Reads vertices and polygons.

    Returns:
        (V, 3) float64 vertices, (C,) int64 corners of all faces, (n,) int64 numbers of corners. Faces of fewer than
        three corners are left out.

    Raises:
        MeshError: it is not a PLY file, truncated, has too many faces, or lacks positions or faces.
        ValueError: something that is no number.
    """
    order, elements, start = _header(content)
    words = (match[0] for match in re.compile(rb"\S+").finditer(content, start)) if order == "" else None
    found: dict[str, dict[str, Column]] = {}
    for element in elements:
        if words is not None:
            found[element.name] = _from_text(element, words)
        else:
            found[element.name], start = _from_bytes(element, content, start, order)
        if {"vertex", "face"} <= set(found):
            break
    vertex, face = found.get("vertex", {}), found.get("face", {})
    if not set("xyz") <= set(vertex):
        raise MeshError("has no vertices with x, y and z")
    if not face:
        raise MeshError("has no faces")
    ((lengths, corners),) = face.values()
    if corners.dtype.kind == "f" and not (np.isfinite(corners) & (corners == np.floor(corners))).all():
        raise MeshError("a face names a vertex by what is no whole number")
    kept = lengths > 2
    if int((lengths[kept] - 2).sum()) > FACES:
        raise MeshError(f"its faces make more triangles than the {FACES:,} that are read")
    points = np.stack([vertex[axis][1].astype(np.float64) for axis in "xyz"], axis=1)
    return points, corners[np.repeat(kept, lengths)].astype(np.int64), lengths[kept]


def in_halves(triangles: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Triangles of polygons in the order in which points are drawn on them: triangles, first halves of quads, their
    second halves, which begin at the third corner, and those of other polygons.

    Args:
        triangles: (C - 2n, 3) of polygons, in their order.
        lengths: (n,) numbers of corners.
    """
    counts = lengths - 2
    second = np.arange(len(triangles)) - np.repeat(np.cumsum(counts) - counts, counts) == 1
    size = np.repeat(lengths, counts)
    kind = np.select([size == 3, (size == 4) & ~second, size == 4], [0, 1, 2], 3)
    turned = np.where((kind == 2)[:, None], np.roll(triangles, -1, axis=1), triangles)
    return turned[np.argsort(kind, kind="stable")]


def _header(content: bytes) -> tuple[str, list[Element], int]:
    """Byte order ("": text), the elements, and where their rows begin."""
    end = re.compile(rb"^[ \t]*end_header[ \t]*(\r\n|\n|\r)", re.MULTILINE).search(content, 0, HEADER)
    if content[:3].lower() != b"ply" or not end:
        raise MeshError("not a PLY file: it should begin with ply and have an end_header")
    order, elements = None, list[Element]()
    for line in content[: end.start()].decode("latin-1").splitlines():
        match line.split():
            case ["format", kind, *_] if kind in ORDERS:
                order = ORDERS[kind]
            case ["element", name, rows] if rows.isdigit() and len(rows) < 30:
                limit = FACES if name == "face" else VERTICES
                if int(rows) > limit:
                    raise MeshError(f"{int(rows):,} {name} elements are too many (at most {limit:,})")
                elements.append(Element(name, int(rows)))
            case ["property", "list", count, kind, name] if (
                elements and kind in TYPES and TYPES.get(count, "f")[0] != "f"
            ):
                elements[-1].properties.append((name, TYPES[count], TYPES[kind]))
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1].properties.append((name, None, TYPES[kind]))
            case ["format" | "element" | "property", *_]:
                raise MeshError(f"its header has a line that is not known: {line[:50]!r}")
    for names in ([e.name for e in elements], *([p[0] for p in e.properties] for e in elements)):
        if len(names) != len(set(names)):
            raise MeshError("its header gives one name to two things")
    if order is None:
        raise MeshError("its header does not name the format")
    return order, elements, end.end()


def _from_text(element: Element, words: Iterator[bytes]) -> dict[str, Column]:
    """The wanted columns: lengths (of lists; else all 1), and all numbers."""
    columns = {name: (array("q"), array("d")) for name in element.wanted()}
    plan = [(columns.get(name), count is not None) for name, count, _ in element.properties]
    for row in range(element.rows if plan else 0):
        for column, is_list in plan:
            count = 1
            if is_list:
                word = next(words, b"")
                if not word.isdigit() or len(word) > 9:
                    raise MeshError(f"not the length of a list: {word[:50]!r}") if word else _cut(element, row)
                count = int(word)
            if column is None:
                if sum(1 for _ in islice(words, count)) < count:
                    raise _cut(element, row)
                continue
            if count > FACES + 2:
                raise MeshError(f"a list of {count:,} corners makes more triangles than the {FACES:,} that are read")
            lengths, numbers = column
            before = len(numbers)
            numbers.extend(map(float, islice(words, count)))
            if len(numbers) - before < count:
                raise _cut(element, row)
            lengths.append(count)
    found = {}
    for name, _, kind in element.properties:
        if name in columns:
            lengths, numbers = columns[name]
            with np.errstate(over="ignore"):  # said where coordinates are checked
                values = np.array(numbers, dtype=kind if kind[0] == "f" else "f8")  # as precise as it says
            found[name] = np.array(lengths, dtype=np.int64), values
    return found


def _from_bytes(element: Element, content: bytes, start: int, order: str) -> tuple[dict[str, Column], int]:
    """As ``_from_text`` for binary rows; also returns where they end."""
    if not element.rows or not element.properties:
        return {}, start
    first = _lengths(element, content, start, order)
    width, rows = _row(element, first, order), element.rows
    if start + rows * width.itemsize <= len(content):
        table = np.frombuffer(content, width, rows, start)
        if all((table[f"{name}.n"] == count).all() for name, count in first.items()):
            found = {n: (np.full(rows, first.get(n, 1)), table[n].reshape(-1)) for n in element.wanted()}
            return found, start + rows * width.itemsize
    if not first:
        raise _cut(element, (len(content) - start) // width.itemsize)
    return _rows_that_differ(element, content, start, order)


def _rows_that_differ(element: Element, content: bytes, start: int, order: str) -> tuple[dict[str, Column], int]:
    """Binary rows with lists of several lengths."""
    if element.rows * len(element.properties) > PARTS:
        raise MeshError(f"its {element.name} elements have lists of several lengths, and more than {PARTS:,} parts")
    parts = {name: (array("q"), bytearray()) for name in element.wanted()}
    endian: Literal["little", "big"] = "big" if order == ">" else "little"
    plan = [
        (parts.get(name), int((count or "u0")[1]), (count or "u0")[0] == "i", int(kind[1]))
        for name, count, kind in element.properties
    ]
    for row in range(element.rows):
        for part, counted, signed, size in plan:
            count = int.from_bytes(content[start : start + counted], endian, signed=signed) if counted else 1
            begin = start + counted
            start = begin + count * size
            if count < 0 or start > len(content):
                raise _cut(element, row)
            if part:
                part[0].append(count)
                part[1].extend(content[begin:start])
    kinds = {name: order + kind for name, _, kind in element.properties}
    found = {n: (np.array(counts, dtype=np.int64), np.frombuffer(v, kinds[n])) for n, (counts, v) in parts.items()}
    return found, start


def _lengths(element: Element, content: bytes, start: int, order: str) -> dict[str, int]:
    """Lengths of the lists in the first row; 0 if the file ends before it."""
    lengths: dict[str, int] = {}
    for name, count, kind in element.properties:
        if count is not None:
            counted = np.dtype(order + count)
            there = start + counted.itemsize <= len(content)
            length = int(np.frombuffer(content, counted, 1, start)[0]) if there else 0
            lengths[name] = length if 0 <= length <= len(content) else 0
            start += counted.itemsize
        start += np.dtype(kind).itemsize * lengths.get(name, 1)
    return lengths


def _row(element: Element, lengths: dict[str, int], order: str) -> np.dtype[Any]:
    """The structure of a row, if lists are as long as in the first."""
    fields: list[Any] = []
    for name, count, kind in element.properties:
        if count is not None:
            fields.append((f"{name}.n", order + count))
        fields.append((name, order + kind, (lengths.get(name, 1),)))
    return np.dtype(fields)


def _cut(element: Element, rows: int) -> MeshError:
    return MeshError(f"cut short: {element.rows:,} {element.name} elements, but only {rows:,} are there")
