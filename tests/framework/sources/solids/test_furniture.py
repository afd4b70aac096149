"""On small libraries made here, and on those of Debian's package, where it is installed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from weightspace.cli.main import main
from weightspace.errors import SourceError
from weightspace.fitting.draw import drawn
from weightspace.sources import load_source
from weightspace.sources.solids.furniture import source as furniture_source
from weightspace.sources.solids.furniture.catalogue import CATALOGUE, read_catalogues
from weightspace.sources.solids.furniture.kinds import CLASS_NAMES, WORDS, kind_of
from weightspace.sources.solids.furniture.properties import read_properties
from weightspace.sources.solids.sdf import box
from weightspace.testing import source_checks
from weightspace.zoo import Zoo

HEAD = "id=Test\nname=Test\nlicense=Creative Commons Attribution 3.0 license\n"


def obj(mesh: trimesh.Trimesh) -> bytes:
    return mesh.export(file_type="obj").encode()


def plank(*sides: float) -> trimesh.Trimesh:
    """A box; in files, the second coordinate is the height."""
    return trimesh.creation.box(sides)


def entry(number: int, name: str, model: str, **others: str) -> str:
    fields = {"name": name, "model": f"/{model}", "creator": f"Author {number % 2}", **others}
    return "".join(f"{key}#{number}={value}\n" for key, value in fields.items())


def library(path: Path, catalogue: str, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CATALOGUE, catalogue.encode("latin-1"))
        archive.writestr(CATALOGUE.replace(".prop", "_de.prop"), catalogue.replace("Chair", "Stuhl").encode("latin-1"))
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Chairs and tables in two libraries; two chairs differ in size and place alone."""
    moved = plank(2, 4, 2)
    moved.apply_translation([5, 6, 7])
    library(
        tmp_path / "sets" / "A.sh3f",
        HEAD
        + entry(1, "Chair", "a/chair/chair.obj")
        + entry(2, "Oak table", "a/table.obj")
        + entry(3, "Harp", "a/x.obj"),
        {"a/chair/chair.obj": obj(plank(1, 2, 1)), "a/table.obj": obj(plank(2, 1, 1)), "a/x.obj": obj(plank(1, 1, 1))},
    )
    library(
        tmp_path / "sets" / "B.sh3f",
        "name=B CC-0\nlicense=Public domain\n"
        + entry(1, "Bar chair", "red.obj")
        + entry(2, "Desk", "desk.obj", modelRotation="1 0 0 0 0 -1 0 1 0"),
        {"red.obj": obj(moved), "desk.obj": obj(plank(1, 2, 4))},
    )
    return tmp_path / "sets"


def test_models_of_libraries(folder: Path) -> None:
    source = load_source("furniture", path=str(folder), points=512)
    assert [mesh.name for mesh in source.stored] == [
        "A.sh3f/a/chair/chair.obj",
        "A.sh3f/a/table.obj",
        "B.sh3f/red.obj",
        "B.sh3f/desk.obj",
    ]
    assert [CLASS_NAMES[target] for target in source.targets] == ["chair", "table", "chair", "table"]
    assert source.left_out == (("A.sh3f/a/x.obj", "of no class: Harp"),)
    assert source.license == "CC-BY-3.0 AND CC0-1.0"
    assert source.attribution == "Author 0, Author 1"
    assert load_source("furniture", **source.arguments).digest == source.digest
    assert len(load_source("furniture", path=str(folder / "A.sh3f"), points=64)) == 2


def test_the_third_coordinate_is_the_height(folder: Path) -> None:
    source = load_source("furniture", path=str(folder), points=2048, clamp=0.2)
    for item, half in ((0, (0.45, 0.45, 0.9)), (1, (0.9, 0.45, 0.45)), (3, (0.225, 0.45, 0.9))):
        points, values = source.observations(torch.tensor([item]))
        exact = 0.5 - box(points[0].double(), half).clamp(-0.2, 0.2) / 0.4
        assert (values[0, :, 0] - exact).abs().max() < 2e-6, source.stored[item].name


def test_near_copies_are_of_one_group(folder: Path) -> None:
    groups = load_source("furniture", path=str(folder), points=64).groups
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_a_turned_catalogue_is_another_digest(folder: Path) -> None:
    before = load_source("furniture", path=str(folder), points=64).digest
    members = {"red.obj": obj(plank(1, 2, 1)), "desk.obj": obj(plank(1, 2, 4))}
    library(folder / "B.sh3f", HEAD + entry(1, "Bar chair", "red.obj") + entry(2, "Desk", "desk.obj"), members)
    assert load_source("furniture", path=str(folder), points=64).digest != before


@pytest.mark.parametrize("number", range(len(source_checks(lambda: None))))
def test_contract(number: int, folder: Path) -> None:
    source_checks(lambda: load_source("furniture", path=str(folder), points=256))[number]()


def test_property_files() -> None:
    text = b"# a\n! b\n  name#1 = Caf\xe9 \\u20ac\nname#2:x\\\n   y=z\r\nlonely\nname\\ 3=a\\\\\n"
    expected = {"name#1": "Caf\xe9 \u20ac", "name#2": "xy=z", "lonely": "", "name 3": "a\\"}
    assert read_properties(text) == expected


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("../../outside.obj", "its file is not within the library"),
        ("//etc/x.obj", "its file is not within the library"),
        ("a\\..\\..\\x.obj", "its file is not within the library"),
        ("C:/x.obj", "its file is not within the library"),
        ("missing.obj", "the library has no such file"),
        ("chair.dae", "its model is not an OBJ file"),
        ("chair.obj", "the same file as model 1"),
        ("text.obj", "cannot be read"),
        ("empty.obj", "has no faces"),
    ],
)
def test_models_that_cannot_be_used_are_listed(model: str, reason: str, tmp_path: Path) -> None:
    members = {"chair.obj": obj(plank(1, 2, 1)), "../../outside.obj": obj(plank(1, 2, 1)), "chair.dae": b""}
    members |= {"text.obj": b"v a b c\nf 1 2 3 4\n", "empty.obj": b""}
    path = library(
        tmp_path / "in" / "deep" / "A.sh3f",
        HEAD + entry(1, "Chair", "chair.obj") + entry(2, "Chair", model.replace("\\", "\\\\")),
        members,
    )
    source = load_source("furniture", path=str(path), points=64)
    assert len(source) == 1
    ((name, said),) = source.left_out
    assert name == f"A.sh3f/{model}"
    assert said.startswith(reason)
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["A.sh3f"], "nothing is unpacked"


def test_libraries_that_cannot_be_used_are_listed(folder: Path) -> None:
    whole = (folder / "A.sh3f").read_bytes()
    (folder / "cut.sh3f").write_bytes(whole[: len(whole) // 2])
    library(folder / "other.sh3f", "name=Other\nitem.1=x\n", {})
    library(folder / "turned.sh3f", HEAD + entry(1, "Chair", "c.obj", modelRotation="1 2 3"), {"c.obj": b""})
    with zipfile.ZipFile(folder / "plain.sh3f", "w") as archive:
        archive.writestr("x.txt", "nothing")
    source = load_source("furniture", path=str(folder), points=64)
    assert len(source) == 4
    reasons = dict(source.left_out)
    assert reasons["cut.sh3f"].startswith("not a library, which is a zip file")
    assert reasons["other.sh3f"] == f"its {CATALOGUE} names no models: expected keys model#1, model#2, ..."
    assert reasons["plain.sh3f"] == f"its {CATALOGUE}: the library has no such file"
    assert reasons["turned.sh3f/c.obj"] == "its modelRotation is none: '1 2 3'"


@pytest.mark.parametrize("place", [0.3, 0.5, 0.8])
def test_a_damaged_member_is_listed(place: float, tmp_path: Path) -> None:
    path = library(
        tmp_path / "A.sh3f",
        HEAD + entry(1, "Chair", "a.obj") + entry(2, "Chair", "b.obj"),
        {"a.obj": obj(trimesh.creation.icosphere(subdivisions=3)), "b.obj": obj(plank(1, 2, 3))},
    )
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("a.obj")
    content = bytearray(path.read_bytes())
    at = info.header_offset + 40 + int(place * info.compress_size)
    content[at : at + 20] = bytes(20)
    path.write_bytes(content)
    source = load_source("furniture", path=str(path), points=64)
    assert [name for name, _ in source.left_out] == ["A.sh3f/a.obj"]
    assert source.left_out[0][1].startswith("cannot be read")


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(furniture_source, "SYSTEM_FOLDER", tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"run apt-get install sweethome3d-furniture, or give their path"):
        load_source("furniture")
    with pytest.raises(SourceError, match=r"expected libraries \*\.sh3f in .*found none: give their path"):
        load_source("furniture", path=str(tmp_path))
    path = library(tmp_path / "A.sh3f", HEAD + entry(1, "Harp", "a.obj"), {"a.obj": obj(plank(1, 1, 1))})
    with pytest.raises(SourceError, match=r"no model in .* can be used \(1 of them: of no class\)"):
        load_source("furniture", path=str(path))


def test_a_library_that_changes_is_noticed(folder: Path) -> None:
    source = load_source("furniture", path=str(folder), points=64)
    library(
        folder / "A.sh3f", HEAD + entry(1, "Chair", "a/chair/chair.obj"), {"a/chair/chair.obj": obj(plank(1, 9, 1))}
    )
    with pytest.raises(SourceError, match=r"a/chair/chair.obj in .*A.sh3f has changed since"):
        source.observations(torch.tensor([0]))


def test_a_zoo_of_furniture(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "z")
    fit = ["zoo", "fit", "--source", "furniture", "--path", str(folder), "--train", "2", "--test", "1", "--out", out]
    sizes = ["--recipe", "sdf", "--set", "hidden=[8, 8]", "steps=20", "points_per_step=256"]
    assert main([*fit, *sizes, "--source_set", "points=512"]) == 0
    provenance = Zoo(out).header.provenance
    assert provenance["license"] == "CC-BY-3.0 AND CC0-1.0"
    assert provenance["attribution"] == "Author 0, Author 1"
    capsys.readouterr()
    assert main(["zoo", "info", out]) == 0
    assert "CC-BY-3.0 AND CC0-1.0" in capsys.readouterr().out
    assert main(["zoo", "verify", out]) == 0


def test_every_word_is_of_one_class_at_most() -> None:
    for kind, words in WORDS.items():
        for word in words.split(";"):
            assert kind_of(word) in (kind, None), f"{word} of {kind}"


installed = pytest.mark.skipif(
    not furniture_source.SYSTEM_FOLDER.is_dir(), reason="Debian's package sweethome3d-furniture is not installed"
)


@installed
def test_the_package_has_the_classes() -> None:
    """Numbers of models by class, as checked by eye; all others are listed."""
    found = read_catalogues(furniture_source.find_libraries(None))
    assert len(found.models) == 820
    assert found.left_out == []
    kinds = [kind_of(model.title) for model in found.models]
    assert {kind: kinds.count(kind) for kind in CLASS_NAMES} == {
        "animal": 10, "appliance": 33, "bathroom": 17, "bed": 17, "cabinet": 45, "chair": 74, "door_window": 35,
        "electronics": 64, "lamp": 32, "person": 29, "plant": 42, "sofa": 22, "table": 46, "vehicle": 27, "vessel": 57,
    }  # fmt: skip
    assert {model.license for model in found.models} == {"CC-BY-3.0", "CC-BY-3.0-US", "CC0-1.0"}
    assert all(model.creator for model in found.models)


@installed
@pytest.mark.long
def test_models_of_the_package() -> None:
    source = load_source("furniture", points=256)
    assert len(source) == 550
    assert len(source.left_out) == 270
    names = [mesh.name.rpartition("/")[2] for mesh in source.stored]
    same = [names.index(name) for name in ("pine.obj", "pineSnow.obj")]
    assert len(set(source.groups[same].tolist())) == 1
    assert len(set(source.groups.tolist())) > 480, "what is alike is a small part"
    parts = drawn(source, (400, 75, 75), 0)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not set(source.groups[parts[one]]) & set(source.groups[parts[other]])
    for part in parts:
        assert len(np.unique(source.targets[part])) == 15
