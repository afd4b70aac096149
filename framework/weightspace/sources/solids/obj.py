"""Preparing OBJ files for trimesh."""

from __future__ import annotations

import re
from array import array

import numpy as np

from weightspace.files.limits import FACES, GROUPS, LINES, VERTICES
from weightspace.sources.solids.polygons import MeshError, divisions

#: Lines that are counted: what they begin with, how many are read, and their name.
COUNTED = (
    (rb"f", FACES, "faces"),
    (rb"v[nt]?", 3 * VERTICES, "vertices, normals and texture coordinates"),
    (rb"(?:usemtl|[og])", GROUPS, "groups"),
)
#: A corner that is counted from the last vertex backwards.
BACKWARDS = re.compile(rb"^[ \t]*f.*[ \t]-", re.MULTILINE)
#: A face of more or fewer than three corners, or with a corner that is counted from the last vertex backwards.
SPECIAL = re.compile(rb"^f(?:(?:[ \t]+\S+){4}|(?:[ \t]+\S+){0,2}\s*$|.*[ \t]-)", re.MULTILINE)


def prepared_obj(content: bytes, crossed: bool = False) -> bytes:
    """Rewrites faces of an OBJ file so that a reader that divides polygons into fans keeps their area.

    Faces of several corners, where a fan from the first one does not keep the area, become triangles; those of fewer
    than three are left out; corners that are counted backwards get the vertices' numbers. All else, and a file without
    them, stays as it is.

    Args:
        content: of the file.
        crossed: see ``divisions``.

    Raises:
        MeshError: too many lines of a kind, or a face that cannot be divided.
        ValueError: something that is no number.
    """
    for start, limit, name in COUNTED:
        count = sum(1 for _ in re.compile(rb"^[ \t]*" + start + rb"[ \t]", re.MULTILINE).finditer(content))
        if count > limit:
            raise MeshError(f"{count:,} {name} are too many (at most {limit:,})")
    if content.count(b"\n") > LINES:
        raise MeshError(f"more than {LINES:,} lines are too many")
    if not SPECIAL.search(content):
        return content
    points, faces, lines = array("d"), list[tuple[int, list[bytes]]](), list[bytes]()
    backwards = BACKWARDS.search(content) is not None
    for line in content.replace(b"\r\n", b"\n").replace(b"\\\n", b"").split(b"\n"):
        if line.startswith((b"v ", b"v\t")):
            points.extend(float(number) for number in line.split(None, 4)[1:4])
            if len(points) % 3:
                raise MeshError(f"not a vertex: {line[:50].decode(errors='replace')!r}")
        elif line.startswith((b"f ", b"f\t")):
            words = line.split(b"#")[0].split()[1:]
            if backwards:
                words = [_from_the_front(word, len(points) // 3) for word in words]
                line = b"f " + b" ".join(words)
            if len(words) > 3:
                faces.append((len(lines), words))
            elif len(words) < 3:
                continue
        lines.append(line)
    if sum(len(words) - 2 for _, words in faces) > FACES:
        raise MeshError(f"its faces make more triangles than the {FACES:,} that are read")
    _divide(np.array(points).reshape(-1, 3), faces, lines, crossed)
    return b"\n".join(lines)


def _divide(points: np.ndarray, faces: list[tuple[int, list[bytes]]], lines: list[bytes], crossed: bool) -> None:
    """Replaces lines of faces whose fan does not keep the area by lines of triangles."""
    lengths = np.array([len(words) for _, words in faces], dtype=np.int64)
    corners = np.array([int(word.split(b"/")[0]) - 1 for _, words in faces for word in words], dtype=np.int64)
    if not len(corners) or corners.min() < 0 or corners.max() >= len(points):
        return  # said where all faces are checked
    divided, first = divisions(points, corners, lengths, crossed), 0
    for (line, words), length in zip(faces, lengths.tolist(), strict=True):
        part = divided[first : first + length - 2]
        first += length - 2
        if part[:, 0].any():  # no fan from the first corner
            lines[line] = b"\n".join(b"f " + b" ".join(words[corner] for corner in triangle) for triangle in part)


def _from_the_front(word: bytes, vertices: int) -> bytes:
    """A corner with the vertex's number instead of its place before the last one; the others of its numbers go."""
    if not word.startswith(b"-"):
        return word
    number = vertices + 1 + int(word.split(b"/")[0])
    if number < 1:
        raise MeshError(f"a face names vertex {number - vertices - 1} of {vertices}")
    return b"%d" % number
