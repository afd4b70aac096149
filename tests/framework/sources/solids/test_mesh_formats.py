"""What files of meshes may look like: one solid in all ways of writing it."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import trimesh
from weightspace.files.limits import FACES, VERTICES
from weightspace.sources.solids.mesh_file import leak, parse_mesh
from weightspace.sources.solids.off import read_off
from weightspace.sources.solids.ply import in_halves, read_ply
from weightspace.sources.solids.polygons import triangulate

#: An L, two units long, and one unit high: from its first corner, a fan leaves it.
OUTLINE = ((2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 0))
Faces = list[list[int]]


def prism(shift: int = 0, inwards: bool = False) -> tuple[np.ndarray, Faces]:
    """Vertices and faces of the L; its caps begin at any corner."""
    outline = [*OUTLINE[shift:], *OUTLINE[:shift]]
    vertices = np.array([(x, y, z) for z in (0, 1) for x, y in outline], dtype=np.float64)
    sides = [[i, (i + 1) % 6, (i + 1) % 6 + 6, i + 6] for i in range(6)]
    faces = [[5, 4, 3, 2, 1, 0], [6, 7, 8, 9, 10, 11], *sides]
    return vertices, [face[::-1] for face in faces] if inwards else faces


def off(vertices: np.ndarray, faces: Faces) -> bytes:
    rows = [" ".join(map(str, row)) for row in (*vertices.tolist(), *([len(face), *face] for face in faces))]
    return "\n".join(["OFF", f"{len(vertices)} {len(faces)} 0", *rows, ""]).encode()


def obj(vertices: np.ndarray, faces: Faces) -> bytes:
    rows = [f"v {x} {y} {z}" for x, y, z in vertices.tolist()]
    rows += ["vt 0 0", *("f " + " ".join(f"{corner + 1}/1" for corner in face) for face in faces)]
    return "\n".join([*rows, ""]).encode()


def obj_backwards(vertices: np.ndarray, faces: Faces) -> bytes:
    """Corners are counted from the last vertex that was written before; a face has its vertices before it."""
    rows = []
    for face in faces:
        rows += ["v " + " ".join(map(str, vertices[corner].tolist())) for corner in face]
        rows.append("f " + " ".join(str(place - len(face)) for place in range(len(face))))
    return "\n".join([*rows, ""]).encode()


def ply_text(vertices: np.ndarray, faces: Faces) -> bytes:
    rows = [" ".join(map(str, row)) for row in (*vertices.tolist(), *([len(face), *face] for face in faces))]
    head = f"element vertex {len(vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
    head += f"element face {len(faces)}\nproperty list uchar int vertex_index\nend_header\n"
    return f"ply\nformat ascii 1.0\n{head}{chr(10).join(rows)}\n".encode()


def ply(order: str, extra: bool = True) -> Callable[[np.ndarray, Faces], bytes]:
    """Binary, with colours, flags and texture coordinates around what matters."""

    def write(vertices: np.ndarray, faces: Faces) -> bytes:
        name = {"<": "little", ">": "big"}[order]
        flags, texture = ("property uchar flags\n", "property list uchar float texcoord\n") if extra else ("", "")
        head = f"ply\nformat binary_{name}_endian 1.0\ncomment by nobody\nelement material 2\nproperty short kind\n"
        head += f"element vertex {len(vertices)}\nproperty double x\nproperty float y\nproperty double z\n{flags}"
        head += f"element face {len(faces)}\n{flags}property list uchar uint vertex_indices\n{texture}"
        body = struct.pack(f"{order}hh", 1, 2)
        for x, y, z in vertices.tolist():
            body += struct.pack(f"{order}dfd", x, y, z) + (b"\7" if extra else b"")
        for face in faces:
            body += b"\7" if extra else b""
            body += struct.pack(f"{order}B{len(face)}I", len(face), *face)
            body += struct.pack(f"{order}B{2 * len(face)}f", 2 * len(face), *range(2 * len(face))) if extra else b""
        return (head + "element edge 1\nproperty int vertex1\nend_header\n").encode() + body + bytes(4)

    return write


WRITERS: dict[str, tuple[str, Callable[[np.ndarray, Faces], bytes]]] = {
    "off": (".off", off),
    "obj": (".obj", obj),
    "obj, counted backwards": (".obj", obj_backwards),
    "ply, text": (".ply", ply_text),
    "ply, little endian": (".ply", ply("<")),
    "ply, big endian": (".ply", ply(">")),
    "ply, without more": (".ply", ply("<", extra=False)),
}


@pytest.mark.parametrize("inwards", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_faces_that_are_not_convex_keep_their_area(writer: str, inwards: bool) -> None:
    ending, write = WRITERS[writer]
    for shift in range(6):
        mesh = parse_mesh(write(*prism(shift, inwards)), ending)
        assert mesh.area == pytest.approx(14 * 0.9**2)
        assert abs(mesh.volume) == pytest.approx(3 * 0.9**3)
        assert leak(mesh) is None


@pytest.mark.parametrize("writer", ["off", "obj", "ply, text", "ply, little endian"])
def test_a_face_that_crosses_itself_is_a_reason_to_leave_a_file_out(writer: str) -> None:
    ending, write = WRITERS[writer]
    angles = 4 * np.pi * np.arange(5) / 5
    star = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    with pytest.raises(ValueError, match="a face with 5 corners crosses itself"):
        parse_mesh(write(star, [[0, 1, 2, 3, 4]]), ending)


def convex(triangles: bool, quads: bool, pentagons: bool) -> tuple[np.ndarray, Faces]:
    angles = 2 * np.pi * np.arange(5) / 5
    tower = np.array([(np.cos(a), np.sin(a), z) for z in (0.0, 1.0) for a in angles] + [(0.1, 0.2, 2.0)])
    faces = [[i, (i + 1) % 5, (i + 1) % 5 + 5, i + 5] for i in range(5)] if quads else []
    faces += [[5, 6, 7, 8, 9], [4, 3, 2, 1, 0]] if pentagons else []
    return tower, faces + ([[i + 5, (i + 1) % 5 + 5, 10] for i in range(5)] if triangles else [])


@pytest.mark.parametrize(
    "kinds", [(True, False, False), (False, True, False), (True, True, True), (False, False, True)]
)
@pytest.mark.parametrize("writer", ["obj", "ply, text"])
def test_convex_faces_are_divided_as_trimesh_divides_them(writer: str, kinds: tuple[bool, bool, bool]) -> None:
    """Points are drawn on the triangles in their order, for PLY as ever; OBJ has that of its polygons."""
    ending, write = WRITERS[writer]
    content = write(*convex(*kinds))
    theirs = trimesh.load_mesh(trimesh.util.wrap_as_stream(content), file_type=ending[1:], process=False)
    used = theirs.vertices[np.unique(theirs.faces)]
    low, high = used.min(0), used.max(0)
    expected = (theirs.triangles - (low / 2 + high / 2)) * (0.9 / float((high / 2 - low / 2).max()))
    found = parse_mesh(content, ending).triangles
    assert np.array_equal(_sorted(found), _sorted(expected)) if ending == ".obj" else np.array_equal(found, expected)


def _sorted(triangles: np.ndarray) -> np.ndarray:
    """Triangles (n, 3, 3), and the corners of each, in an order of their own."""
    rows = np.array([sorted(map(tuple, triangle)) for triangle in np.asarray(triangles).tolist()]).reshape(-1, 9)
    return rows[np.lexsort(rows.T)]


def test_off_keeps_fans_in_their_order() -> None:
    vertices, faces = convex(True, True, True)
    points, corners, lengths = read_off(off(vertices, faces))
    assert np.array_equal(points, vertices)
    fans = [[face[0], *pair] for face in faces for pair in pairwise(face[1:])]
    assert triangulate(points, corners, lengths).tolist() == fans


def test_quads_of_ply_are_halved() -> None:
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [7, 8, 9], [7, 9, 10]])
    assert in_halves(triangles, np.array([4, 3, 4])).tolist() == [
        [4, 5, 6], [0, 1, 2], [7, 8, 9], [2, 3, 0], [9, 10, 7],
    ]  # fmt: skip


TETRAHEDRON = ["0 0 0", "1 0 0", "0 1 0", "0 0 1"]
SIDES = ["3 0 2 1", "3 0 1 3", "3 0 3 2", "3 1 2 3"]


def variant(kind: str, more: str = "", between: str = "\n", counts: str = "4 4 6") -> str:
    rows = [kind, counts, *(f"{vertex} {more}" for vertex in TETRAHEDRON), *SIDES]
    return between.join(rows) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        variant("OFF"),
        variant("off"),
        variant("OFF", counts="4 4"),
        variant("OFF").replace("OFF\n", "OFF"),
        variant("OFF").replace("\n", "\r\n"),
        variant("OFF", between=" "),
        variant("OFF", between="\t \n\n"),
        variant("OFF").replace(" ", "\n"),
        variant("COFF", more="0.5 0.5 0.5 1"),
        variant("COFF", more="255 0 0"),
        variant("COFF", more="0.5 0.5 0.5", between=" "),
        variant("NOFF", more="0 0 1"),
        variant("noff", more="0 0 1", between=" "),
        variant("STOFF", more="0.25 0.75", between=" "),
        variant("CNOFF", more="0 0 1 0.1 0.2 0.3 1"),
        variant("STCNOFF", more="0 0 1 0.1 0.2 0.3 1 0 1", between=" "),
        variant("OFF").replace("\n3", "\n  3").replace("4 4 6", "# counts\n4 4 6 # of edges, too"),
        "# made by hand\n\n" + variant("OFF"),
        variant("OFF") + "9 9 9 # beyond the counts\n",
        variant("OFF").replace("3 0 2 1", "3 0 2 1 255 0 0"),
    ],
)
def test_variants_of_off(text: str) -> None:
    mesh = parse_mesh(text.encode(), ".off")
    assert leak(mesh) is None
    assert mesh.volume == pytest.approx(1.8**3 / 6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (variant("4OFF", more="1"), "4OFF, in other than three dimensions"),
        (variant("nOFF"), "nOFF, in other than three dimensions"),
        ("OFF BINARY\n\0\0\0\4", "binary OFF is not read"),
        (variant("OFF", between=" ")[:-4], "cut short"),
        (variant("OFF").replace(" ", "\n")[:-4], "not a vertex: '6'"),
        ("OFF\nfour 4 6\n", "the counts of vertices and faces should follow OFF"),
    ],
)
def test_what_is_not_read_of_off(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_mesh(text.encode(), ".off")


@pytest.mark.parametrize("face", [[0], [0, 1], [0, 1, 1], [2, 2, 2]])
@pytest.mark.parametrize("writer", ["off", "obj", "ply, text", "ply, little endian"])
def test_a_degenerate_face_does_not_cost_a_file(writer: str, face: list[int]) -> None:
    ending, write = WRITERS[writer]
    vertices, faces = prism()
    mesh = parse_mesh(write(vertices, [*faces[:3], face, *faces[3:]]), ending)
    assert leak(mesh) is None
    assert mesh.volume == pytest.approx(3 * 0.9**3)


@pytest.mark.parametrize("writer", ["ply, text", "ply, little endian", "ply, big endian", "ply, without more"])
def test_a_ply_file_that_was_cut_is_not_taken_for_whole(writer: str) -> None:
    content = WRITERS[writer][1](*prism())
    whole = len(content) - (7 if writer == "ply, text" else 4)  # what comes after the faces is not needed
    for keep in range(content.index(b"end_header"), whole, 3):
        with pytest.raises(ValueError, match=r"cut short|not a PLY file"):
            read_ply(content[:keep])


PLY = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
LIST = "property list uchar int vertex_index\n"
ROWS = "0 0 0\n1 0 0\n0 1 0\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PLY, "have an end_header"),
        (f"{PLY}element face 1\n{LIST}end_header\n{ROWS}3 0 1 3\n", "a face names vertex 3 of 3"),
        (f"{PLY}element face 1\n{LIST}end_header\n{ROWS}3 0 1 -1\n", "a face names vertex -1 of 3"),
        (f"{PLY}element face 1\n{LIST}end_header\n{ROWS}-3 0 1 2\n", "not the length of a list"),
        (f"{PLY}element face 1\n{LIST}end_header\n{ROWS}3 0 1 0.5\n", "no whole number"),
        (f"{PLY}element face 1\n{LIST}end_header\n{ROWS}3 0 1 x\n", "cannot be read"),
        (f"{PLY}end_header\n{ROWS}", "has no faces"),
        (f"{PLY.replace('float z', 'float w')}element face 1\n{LIST}end_header\n{ROWS}3 0 1 2\n", "no vertices with x"),
        (f"{PLY}property quad q\nend_header\n", "a line that is not known: 'property quad q'"),
        (f"{PLY}property float x\nend_header\n", "one name to two things"),
        ("ply\nelement vertex 3\nend_header\n", "does not name the format"),
    ],
)
def test_damaged_ply(content: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_mesh(content.encode(), ".ply")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "not a vertex: 'v 0 0'"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 1\nf 1 2 3 4\n", "not a vertex: 'v 0 1'"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3 4\n", "names vertex 4 of 3"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 0\n", "names vertex 0 of 3"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n", "cannot be read"),
        (b"v 0 0 0\nv 1 y 0\nv 0 1 0\nf 1 2 3\n", "cannot be read"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3.5\n", "cannot be read"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n", "has no faces"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -4\n", "names vertex -4 of 3"),
    ],
)
def test_damaged_obj(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_mesh(content, ".obj")


def test_a_vertex_of_no_face_may_lie_anywhere() -> None:
    vertices, faces = prism()
    mesh = parse_mesh(off(np.concatenate([vertices, [[1e60, 0, 0]]]), faces), ".off")
    assert mesh.volume == pytest.approx(3 * 0.9**3)


MANY = b"9 " * 10_000_000
BOMBS = {
    "off, faces": (".off", f"OFF\n8 {FACES + 1} 0\n".encode() + MANY, "faces are too many"),
    "off, vertices": (".off", f"OFF\n{VERTICES + 1} 8 0\n".encode() + MANY, "vertices are too many"),
    "off, one line": (".off", b"OFF\n8 8 0\n" + MANY, "cut short"),
    "off, one face": (".off", b"OFF\n1 1 0\n0 0 0\n19999999 " + MANY, "not a face"),
    "ply, faces": (".ply", PLY.encode() + f"element face {10**18}\n{LIST}end_header\n".encode(), "are too many"),
    "ply, others": (".ply", b"ply\nformat ascii 1.0\nelement x 999999999\nend_header\n", "are too many"),
    "ply, one list": (
        ".ply",
        f"{PLY}element face 1\n{LIST}end_header\n{ROWS}".encode() + b"9999999 " + MANY,
        "too many|more tri",
    ),
    "obj, faces": (".obj", b"f 1 2 3\n" * (FACES + 1), "faces are too many"),
    "obj, vertices": (".obj", b"v 1 2 3\n" * (VERTICES + 1), "vertices are too many"),
    "obj, one face of many lines": (".obj", b"v 1 2 3\nf " + b"1 \\\n" * 2_000_000, "more triangles"),
    "obj, one face": (".obj", b"v 1 2 3\nf " + MANY, "more triangles"),
    "stl": (".stl", bytes(80) + struct.pack("<I", FACES + 1) + bytes(50 * FACES + 50), "faces are too many"),
    "stl, text": (".stl", b"solid\n" + b"vertex 0 0 0\n" * (3 * FACES + 3), "faces are too many"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_too_large_is_refused_before_memory_is_taken(name: str) -> None:
    ending, content, reason = BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=reason):
            parse_mesh(content, ending)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_obj_lines_go_on_in_the_next_one_where_they_are_read_and_not_in_comments() -> None:
    plain = parse_mesh(obj(*prism()), ".obj")
    lines = obj(*prism()).decode().split("\n")
    told = ["# C:\\models\\", *lines]
    told.insert(4, "usemtl a\\")
    written = "\n".join(lines)
    for content in ("\n".join(told), f"\ufeff{written}", written.replace("v ", "v \\\n")):
        assert np.array_equal(parse_mesh(content.encode(), ".obj").triangles, plain.triangles)
