from __future__ import annotations

import os
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
import trimesh
from weightspace.cli.main import main
from weightspace.errors import MissingExtraError, SourceError
from weightspace.fitting.verify import verify
from weightspace.progress import Display
from weightspace.sources import load_source
from weightspace.sources.solids.mesh_file import parse_mesh, turn_outwards
from weightspace.sources.solids.sdf import box
from weightspace.testing import source_checks
from weightspace.zoo import Zoo

#: Half widths of a box whose longest side is normalised to 1.8.
HALF = (0.9, 0.45, 0.3)


def plank() -> trimesh.Trimesh:
    return trimesh.creation.box([2 * half for half in HALF]).subdivide().subdivide()


def open_box(flip: bool = False) -> trimesh.Trimesh:
    """A box without the middle of its lid; perhaps half of the faces are turned inwards."""
    mesh = plank().subdivide()
    centres = mesh.triangles_center
    lid = (centres[:, 2] > 0.29) & (np.abs(centres[:, 0]) < 0.2) & (np.abs(centres[:, 1]) < 0.1)
    faces = mesh.faces[~lid].copy()
    if flip:
        turned = np.random.default_rng(0).random(len(faces)) < 0.5
        faces[turned] = faces[turned, ::-1]
    return trimesh.Trimesh(mesh.vertices, faces)


def write(path: Path, mesh: trimesh.Trimesh) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = mesh.export(file_type=path.suffix[1:])
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    """Folders as ModelNet40 has them, with some of its flaws: a glued header, a hole, a file that was cut."""
    root = tmp_path / "net"
    write(root / "plank/train/plank_0001.off", plank())
    glued = write(root / "plank/train/plank_0002.off", plank())
    glued.write_text(glued.read_text().replace("OFF\n", "OFF", 1))
    write(root / "plank/test/plank_0003.off", plank())
    write(root / "ball/train/ball_0001.off", trimesh.creation.icosphere(subdivisions=2))
    write(root / "ball/test/ball_0002.off", trimesh.creation.icosphere(subdivisions=3))
    write(root / "ball/train/ball_0003.off", open_box())
    cut = write(root / "ball/train/ball_0004.off", plank())
    cut.write_bytes(cut.read_bytes()[:-400])
    (root / "ball/train/.DS_Store").write_bytes(b"\0")
    (root / "README.txt").write_text("meshes")
    return root


def test_modelnet_folders(modelnet: Path) -> None:
    source = load_source("meshes", path=str(modelnet), points=512)
    assert (len(source), source.num_train, source.class_names) == (5, 3, ("ball", "plank"))
    assert source.targets.tolist() == [0, 1, 1, 0, 1]
    assert [(name, reason.split(":")[0]) for name, reason in source.left_out] == [
        ("README.txt", "of another kind than .obj .off .ply .stl"),
        ("ball/train/.DS_Store", "hidden, or of another program"),
        ("ball/train/ball_0003.off", "not watertight"),
        ("ball/train/ball_0004.off", "cut short"),
    ]
    with_holes = load_source("meshes", path=str(modelnet), points=512, winding=True)
    assert len(with_holes) == 6
    assert [name for name, _ in with_holes.left_out][2:] == ["ball/train/ball_0004.off"]
    assert with_holes.digest != source.digest


def test_other_layouts(tmp_path: Path) -> None:
    for name in ("a/train/box/1.off", "a/test/box/1.off", "b/box/1.off", "b/train/1.off", "b/box/deep/down/1.off"):
        write(tmp_path / name, plank())
    split = load_source("meshes", path=str(tmp_path / "a"), points=64)
    assert (len(split), split.num_train, split.class_names) == (2, 1, ("box",))
    whole = load_source("meshes", path=str(tmp_path / "b"), points=64)
    assert (len(whole), whole.num_test, whole.class_names) == (2, 0, ("box", "train"))
    assert whole.left_out == (("box/deep/down/1.off", "not in the folder of a class: expected <class>/<file>"),)
    write(tmp_path / "a/box/2.off", plank())
    with pytest.raises(SourceError, match="box/2.off is in no folder of a split"):
        load_source("meshes", path=str(tmp_path / "a"))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("ending", ["off", "obj", "stl", "ply"])
def test_values_are_those_of_the_solid(ending: str, scale: float, tmp_path: Path) -> None:
    """Whatever the format, the unit and the place in which a box was written."""
    moved = trimesh.Trimesh(scale * (plank().vertices + np.array([3, -2, 5])), plank().faces)
    write(tmp_path / f"m/box/box.{ending}", moved)
    source = load_source("meshes", path=str(tmp_path / "m"), points=2048, clamp=0.2)
    points, values = source.observations(torch.tensor([0]))
    exact = 0.5 - box(points[0].double(), HALF).clamp(-0.2, 0.2) / 0.4
    assert (values[0, :, 0] - exact).abs().max() < 2e-6
    near = box(points[0, 1024:].double(), HALF).abs()
    assert near.mean() < 0.05 < box(points[0, :1024].double(), HALF).abs().mean()


@pytest.mark.parametrize("flip", [False, True], ids=["consistent", "half of the faces turned"])
def test_a_box_with_a_hole(flip: bool, tmp_path: Path) -> None:
    write(tmp_path / "box/box.off", open_box(flip))
    with pytest.raises(SourceError, match=r"no training mesh can be used \(1 of them: not watertight\).*winding=true"):
        load_source("meshes", path=str(tmp_path))
    source = load_source("meshes", path=str(tmp_path), points=2048, field="occupancy", winding=True)
    points, values = source.observations(torch.tensor([0]))
    clear = (points[0, :, :2].abs() > 0.3).any(1) | (points[0, :, 2] < 0.1)
    inside = (box(points[0].double(), HALF) < 0).float()
    assert 0.01 < inside[clear].mean() < 0.9
    assert torch.equal(values[0, clear, 0], inside[clear])


def test_faces_that_enclose_nothing(tmp_path: Path) -> None:
    """A triangle with a back is no solid; as a surface with winding numbers it has no inside."""
    path = tmp_path / "sheet/sheet.off"
    path.parent.mkdir()
    path.write_text("OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0.1 0.1 0\n3 0 1 2\n3 0 2 1\n")
    with pytest.raises(SourceError, match="it encloses no volume"):
        load_source("meshes", path=str(tmp_path))
    source = load_source("meshes", path=str(tmp_path), points=512, winding=True)
    points, values = source.observations(torch.tensor([0]))
    assert values.max() <= 0.5
    write(tmp_path / "flat/flat.off", trimesh.Trimesh(np.eye(4, 3), [[0, 1, 3], [0, 1, 2]]))
    assert load_source("meshes", path=str(tmp_path), points=64, winding=True).values(torch.tensor([0])).isfinite().all()
    stray = points[0].double() - torch.tensor([-0.72, -0.72, 0])
    assert (values[0, stray.norm(dim=1) > 1, 0] < 0.5).all(), "a vertex of no face is not on the surface"


@pytest.mark.parametrize("inverted", [False, True])
def test_overlapping_bodies_are_united(inverted: bool, tmp_path: Path) -> None:
    other = plank()
    other.apply_translation([0.1, 0.05, 0.0])
    if inverted:  # its volume cancels that of the first
        other.invert()
    write(tmp_path / "box/two.off", trimesh.util.concatenate([plank(), other]))
    source = load_source("meshes", path=str(tmp_path), points=2048, field="occupancy")
    points, values = source.observations(torch.tensor([0]))
    scale = 0.9 / 0.95
    moved = points[0].double() / scale + torch.tensor([0.05, 0.025, 0.0])
    distance = torch.minimum(box(moved, HALF), box(moved, HALF, (0.1, 0.05, 0.0)))
    certain = distance.abs() > 1e-5
    assert torch.equal(values[0, certain, 0], (distance[certain] < 0).float())


def test_a_cavity_stays_empty_whatever_is_beside_it(tmp_path: Path) -> None:
    inner, beside = trimesh.creation.box((0.5, 0.5, 0.5)), trimesh.creation.box((0.2, 0.2, 0.2))
    inner.invert()
    beside.apply_translation([1.0, 0, 0])
    beside.faces[0] = beside.faces[0, ::-1]
    write(tmp_path / "box/hollow.off", trimesh.util.concatenate([trimesh.creation.box((1, 1, 1)), inner, beside]))
    source = load_source("meshes", path=str(tmp_path), points=64, field="occupancy", winding=True)
    scale, middle = 1.8 / 1.6, 0.3  # from -0.5 to 1.1 along x
    places = torch.tensor([[0.0, 0, 0], [0.4, 0, 0], [1.0, 0, 0], [0.7, 0, 0]]) - torch.tensor([middle, 0, 0])
    assert source.values_at(0, places * scale).flatten().tolist() == [0, 1, 1, 0]


def test_many_bodies_are_turned_outwards_each_by_itself_and_flat_ones_not_at_all() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    places = np.stack(np.meshgrid(*[np.arange(5)] * 3), axis=-1).reshape(-1, 3) * 2.0
    sides = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    bodies = [sides[:, ::-1] if flipped else sides for flipped in rng.random(len(places)) < 0.5]
    flat = np.array([[0, 1, 2], [1, 3, 2]])
    vertices = np.concatenate([*(corners + place for place in places), corners[[0, 1, 2]] + 20.1, [[21.1, 21.1, 20.1]]])
    faces = np.concatenate([*(body + 4 * number for number, body in enumerate(bodies)), flat + 4 * len(bodies)])
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    turn_outwards(mesh)
    for number in range(len(bodies)):
        assert trimesh.Trimesh(vertices, mesh.faces[4 * number : 4 * number + 4], process=False).volume > 0
    assert mesh.faces[-2:].tolist() == faces[-2:].tolist()


@pytest.mark.parametrize("inwards", [False, True])
def test_a_surface_whose_faces_share_no_vertices_stays_as_it_is(inwards: bool) -> None:
    """As models are exported, with a vertex for each corner of each quad; its quads may be bent a little."""
    sphere = trimesh.creation.uv_sphere(radius=0.9, count=[16, 16])
    vertices = sphere.triangles[:, :, :].reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    mesh = trimesh.Trimesh(vertices, faces[:, ::-1] if inwards else faces, process=False)
    turn_outwards(mesh)
    assert np.sign(mesh.volume) == (-1 if inwards else 1)
    assert abs(mesh.volume) == pytest.approx(sphere.volume)


@pytest.mark.parametrize("sides", [5, 6, 9])
def test_polygons_are_divided(sides: int) -> None:
    angles = 2 * np.pi * np.arange(sides) / sides
    points = [f"{np.cos(a):.9f} {np.sin(a):.9f} {z}" for z in (0, 1) for a in angles]
    caps = [list(range(sides))[::-1], list(range(sides, 2 * sides))]
    walls = [[i, (i + 1) % sides, sides + (i + 1) % sides, sides + i] for i in range(sides)]
    faces = [" ".join(map(str, [len(face), *face])) for face in (*caps, *walls)]
    mesh = parse_mesh("\n".join(["OFF", f"{2 * sides} {sides + 2} 0", *points, *faces]).encode(), ".off")
    assert mesh.is_watertight
    prism = sides / 2 * np.sin(2 * np.pi / sides)
    size = np.ptp(np.stack([np.cos(angles), np.sin(angles)]), axis=1).max()
    assert mesh.volume == pytest.approx(prism * (1.8 / size) ** 3)


def test_folders_and_links(tmp_path: Path) -> None:
    write(tmp_path / "net/bed/train/1.off", plank())
    write(tmp_path / "elsewhere/1.off", plank())
    write(tmp_path / "net/.hidden/1.off", plank())
    (tmp_path / "net/sofa").mkdir()
    (tmp_path / "net/sofa/train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "net/bed/again").symlink_to(tmp_path / "net")
    (tmp_path / "net/bed/train/2.off").symlink_to(tmp_path / "not_yet.off")
    source = load_source("meshes", path=str(tmp_path / "net"), points=64)
    assert source.class_names == ("bed", "sofa")
    assert source.left_out == (
        ("bed/again", "a link to what is known already: the folder itself, or one above it"),
        ("bed/train/2.off", "a link to nothing"),
        (".hidden", "hidden, or of another program"),
    )
    write(tmp_path / "not_yet.off", plank())
    assert len(load_source("meshes", path=str(tmp_path / "net"), points=64)) == 3, "it was looked at again"
    with pytest.raises(SourceError, match="looks like the folder of one class"):
        load_source("meshes", path=str(tmp_path / "net/sofa"))


@pytest.mark.parametrize("options", [{"field": "sdf"}, {"field": "occupancy", "winding": True}], ids=str)
@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(number: int, options: dict, modelnet: Path) -> None:
    source_checks(lambda: load_source("meshes", path=str(modelnet), points=256, **options))[number]()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an OFF file"),
        (b"PLY\n3 1 0\n", "not an OFF file"),
        (b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n", "cut short"),
        (b"OFF\n9000000000 1 0\n0 0 0\n", "9,000,000,000 vertices are too many"),
        (b"OFF\n3 900000000 0\n0 0 0\n", "900,000,000 faces are too many"),
        (b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "a face names vertex 7 of 3"),
        (b"OFF\n3 1 0\n0 0 x\n1 0 0\n0 1 0\n3 0 1 2\n", "cannot be read"),
        (b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1\n", "not a face: '3 0 1'"),
        (b"OFF\n3 1 0\n0 0 0\n1 0 nan\n0 1 0\n3 0 1 2\n", "not finite"),
        (b"OFF\n3 1 0\n0 0 0\n0 0 0\n0 0 0\n3 0 1 2\n", "its longest side is 0"),
        (b"OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "have no area"),
        (b"OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n", "has no faces"),
    ],
)
def test_damaged_off(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_mesh(content, ".off")


@pytest.mark.parametrize("ending", ["off", "stl", "ply", "ascii ply", "ascii stl"])
def test_a_mesh_that_was_cut_is_never_taken_for_whole(ending: str, tmp_path: Path) -> None:
    if ending == "ascii ply":
        content = trimesh.exchange.ply.export_ply(plank(), encoding="ascii")
    elif ending == "ascii stl":
        content = trimesh.exchange.stl.export_stl_ascii(plank()).encode()
    else:
        content = write(tmp_path / f"box.{ending}", plank()).read_bytes()
    ending = ending.split()[-1]
    for keep in range(0, len(content) - 20, max(1, len(content) // 150)):
        with pytest.raises(ValueError, match=r"."):
            parse_mesh(content[:keep], f".{ending}")


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    """What was found is remembered by size and time; what is read is compared with it."""
    file = write(tmp_path / "box/box.off", plank())
    first = load_source("meshes", path=str(tmp_path), points=64)
    state = file.stat()
    file.write_bytes(b"x" * state.st_size)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    remembered = load_source("meshes", path=str(tmp_path), points=64)
    assert remembered.digest == first.digest, "the file was not looked at again"
    with pytest.raises(SourceError, match="has changed since"):
        remembered.values(torch.tensor([0]))
    os.utime(file)
    with pytest.raises(SourceError, match="no training mesh can be used"):
        load_source("meshes", path=str(tmp_path))


@pytest.mark.timeout(60, func_only=True)  # a fifo is waited for, for ever
@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 2, "files": {"box/box.off": {}}}', b"\xff\xfe"])
def test_a_memory_that_cannot_be_read_is_made_anew(content: bytes, tmp_path: Path) -> None:
    write(tmp_path / "net/box/box.off", plank())
    load_source("meshes", path=str(tmp_path / "net"), points=64)
    (memory,) = [
        path
        for path in Path(os.environ["WEIGHTSPACE_CACHE"], "meshes").glob("*.json")
        if path.stat().st_mtime_ns == max(p.stat().st_mtime_ns for p in path.parent.glob("*.json"))
    ]
    good = memory.read_bytes()
    memory.write_bytes(content)
    load_source("meshes", path=str(tmp_path / "net"), points=64)
    assert memory.read_bytes() == good
    memory.unlink()
    os.mkfifo(memory)
    load_source("meshes", path=str(tmp_path / "net"), points=64)
    assert memory.read_bytes() == good


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": 7}, "points must be an even number"),
        ({"winding": 1}, "winding must be true or false"),
        ({"seed": -1}, "seed must be"),
        ({"path": "/nowhere"}, r"expected meshes in /nowhere/<class>/, which is not a folder"),
    ],
)
def test_bad_arguments(arguments: dict, message: str, modelnet: Path) -> None:
    with pytest.raises(SourceError, match=message):
        load_source("meshes", **{"path": str(modelnet), **arguments})


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_prepared_is_what_is_asked_for(
    processes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        write(tmp_path / f"box/{number}.off", trimesh.creation.box((1, 1 + number, 2)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: processes)
    monkeypatch.setattr("weightspace.distributed.workers._usable_cores", lambda: processes)
    source = load_source("meshes", path=str(tmp_path), points=128)
    objects = torch.tensor([3, 0, 3, 9, 1, 2, 4, 5, 6])
    expected = source.observations(objects)
    source.prepare(objects, Display(show=True))
    assert "8/8 meshes" in capsys.readouterr().out
    os.rename(tmp_path / "box", tmp_path / "gone")  # nothing is read again
    for found, one in zip(source.observations(objects), expected, strict=True):
        assert torch.equal(found, one)
    with pytest.raises(SourceError, match=r"box/7.off: "):
        source.prepare(torch.arange(10), Display(show=False))


@pytest.mark.parametrize(("module", "package"), [("trimesh", "trimesh"), ("igl", "libigl")])
def test_without_the_extra(module: str, package: str, monkeypatch: pytest.MonkeyPatch, modelnet: Path) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=f'{package}.*pip install "weightspace\\[shapes\\]"'):
        load_source("meshes", path=str(modelnet))


def test_a_zoo_of_meshes(modelnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "z")
    fit = ["zoo", "fit", "--source", "meshes", "--path", str(modelnet), "--train", "3", "--test", "2", "--out", out]
    sizes = ["--recipe", "sdf", "--set", "hidden=[16, 16]", "steps=120", "points_per_step=512", "learning_rate=5e-3"]
    assert main([*fit, *sizes, "--source_set", "points=2048"]) == 0
    told = capsys.readouterr().out
    assert "left out ball/train/ball_0003.off: not watertight: " in told
    assert "edges are not between two faces" in told
    zoo = Zoo(out)
    assert zoo.header.quality == ["psnr", "iou"]
    assert zoo.quality[:, 1].min() > 0.3
    assert any("5 networks: PSNR" in line for line in verify(zoo, sample=12))
    assert main(["zoo", "info", out]) == 0
    assert "meshes; what was left out of its files is listed" in capsys.readouterr().out
    assert main(["zoo", "show", out, "--out", str(tmp_path / "z.png"), "--count", "2"]) == 0
    picture = matplotlib.image.imread(tmp_path / "z.png")
    assert (picture[..., :3].std(2) > 0.05).mean() > 0.02, "some of it is blue"
    modelnet.rename(tmp_path / "moved")
    assert main(["zoo", "verify", out]) == 2
    assert "path gives another folder" in capsys.readouterr().err
    assert main(["zoo", "verify", out, "--path", str(tmp_path / "moved")]) == 0
