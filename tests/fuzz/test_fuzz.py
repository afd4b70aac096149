"""Random damage: a clear error or a correct read, never a crash, a hang, much memory, or wrong data.

`make test` tries 300 cases, `make test-long` 3,000.
"""

from __future__ import annotations

import io
import json
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weightspace.cli.main import main
from weightspace.cli.zoo_table import zoo_table
from weightspace.errors import WeightspaceError, ZooError
from weightspace.fitting.verify import verify
from weightspace.importing.chain import chain_of
from weightspace.importing.state_dict import read_state_dict
from weightspace.sources.solids.mesh_file import leak, parse_mesh
from weightspace.sources.solids.triangles import surface_distance, winding_number
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader, digest

#: Bytes that one damaged file of a few kilobytes may cost beyond what was in use.
MEMORY = 300_000_000

#: Files whose damage is tried: a box in all formats, and a pyramid over a quad that is not convex.
MESHES = (".off", ".obj", ".stl", ".ply", "dart.off", "dart.ply")

Damage = Callable[[bytes], bytes]


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Flipped bits, overwritten, removed, inserted or repeated pieces, a cut, a foreign beginning, or nothing left."""
    kind = draw(st.sampled_from(["flip", "flip", "overwrite", "remove", "insert", "repeat", "cut", "head", "empty"]))
    place, other = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    data, bits = draw(st.binary(min_size=1, max_size=64)), draw(st.lists(st.floats(0, 0.9999), min_size=1, max_size=8))
    near_the_start = draw(st.booleans())  # where formats keep their headers

    def damage(content: bytes) -> bytes:
        length = min(len(content), 200) if near_the_start else len(content)
        at, to = sorted((int(place * length), int(other * length)))
        if kind == "flip":
            changed = bytearray(content)
            for bit in bits:
                number = int(bit * 8 * length)
                changed[number // 8] ^= 1 << number % 8
            return bytes(changed)
        return {
            "overwrite": content[:at] + data + content[at + len(data) :],
            "remove": content[:at] + content[to:],
            "insert": content[:at] + data + content[at:],
            "repeat": content[:to] + content[at:to] + content[to:],
            "cut": content[:at],
            "head": data + content[len(data) :],
            "empty": b"",
        }[kind]

    return damage


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory() -> Iterator[None]:
    """What a file claims must not be allocated: the peak stays near what the process had."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY


def reads_zoo(folder: Path, whole: dict[str, torch.Tensor], header: ZooHeader) -> None:
    """Opens a zoo whose files were damaged: an error of ours, or the very data and header."""
    try:
        zoo = Zoo(folder)
        found = {"params": zoo.params(torch.arange(len(zoo))), "target": zoo.targets, "object": zoo.objects}
    except ZooError:
        return
    assert zoo.header == header
    for name, tensor in found.items():
        assert torch.equal(tensor, whole[name])


@pytest.fixture(scope="module")
def healthy(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(digits_zoo, tmp_path_factory.mktemp("fuzz") / "zoo"))


@pytest.fixture(scope="module")
def digits(digits_zoo: Path) -> dict[str, torch.Tensor]:
    """What the zoo holds."""
    zoo = Zoo(digits_zoo)
    return {"params": zoo.params(torch.arange(len(zoo))), "target": zoo.targets}


def damaged_file(healthy: Path, file: str, damage: Damage) -> None:
    path = healthy / file
    content = path.read_bytes()
    opened = Zoo(healthy)
    whole = {
        "params": opened.params(torch.arange(len(opened))).clone(),
        "target": opened.targets,
        "object": opened.objects,
    }
    try:
        path.unlink()  # a new file: maps of the old one stay whole
        path.write_bytes(damage(content))
        reads_zoo(healthy, whole, opened.header)
        if damage(content) != content:
            with pytest.raises(WeightspaceError):
                list(verify(Zoo(healthy, check=False), sample=0))
    finally:
        path.unlink()
        path.write_bytes(content)


#: What a careless or malicious tool might write in place of a value.
STRANGE = (
    None,
    True,
    -1,
    0,
    3,
    10**12,
    2**70,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../00000.safetensors",
    "\x00",
    [],
    [[]],
    {},
    {"x": 1},
)


@st.composite
def header_changes(draw: st.DrawFn) -> Callable[[dict[str, Any]], None]:
    """Replaces or removes up to three values, anywhere in a JSON object."""
    picks = draw(
        st.lists(
            st.tuples(st.lists(st.floats(0, 0.9999), min_size=6, max_size=6), st.booleans()), min_size=1, max_size=3
        )
    )
    values = draw(st.lists(st.sampled_from(STRANGE), min_size=3, max_size=3))

    def change(data: dict[str, Any]) -> None:
        for (path, remove), value in zip(picks, values, strict=False):
            _change_at(data, path, remove, value)

    return change


def _change_at(node: Any, path: list[float], remove: bool, value: Any) -> None:
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = keys[int(path[0] * len(keys))]
    if len(path) > 1 and path[1] > 0.3 and isinstance(node[key], (dict, list)):
        _change_at(node[key], path[1:], remove, value)
    elif remove:
        del node[key]
    else:
        node[key] = value


def damaged_header(healthy: Path, change: Callable[[dict[str, Any]], None], digits: dict[str, torch.Tensor]) -> None:
    """A foreign zoo.json whose digest fits: an error of ours, or data of the file, whatever it is called."""
    path = healthy / FILE
    content = path.read_bytes()
    try:
        data = json.loads(content)
        change(data)
        data.pop("digest", None)
        path.write_text(json.dumps({**data, "digest": digest(data)}, indent=1, sort_keys=True) + "\n")
        zoo = Zoo(healthy)
        rows = torch.arange(len(zoo))
        assert torch.equal(zoo.params(rows), digits["params"])
        assert torch.equal(zoo.targets, digits["target"])
        list(verify(zoo, sample=2))
        zoo_table(zoo)
    except WeightspaceError:
        pass
    finally:
        path.write_bytes(content)


def commands_on(healthy: Path, change: Callable[[dict[str, Any]], None], out: Path) -> None:
    """Every command on a foreign zoo.json whose digest fits ends well, or with one message; none with a traceback."""
    zoo = shutil.copytree(healthy, out / "zoo", dirs_exist_ok=True)
    data = json.loads((zoo / FILE).read_bytes())
    change(data)
    data.pop("digest", None)
    text = json.dumps({**data, "digest": digest(data)}, indent=1, sort_keys=True) + "\n"
    for command in (
        ["info"],
        ["verify", "--sample", "2"],
        ["show", "--count", "2", "--out", str(out / "zoo.png")],
        ["export", "--format", "numpy", "--out", str(out / "arrays")],
        ["repair"],
    ):
        (zoo / FILE).write_text(text)
        shutil.rmtree(out / "arrays", ignore_errors=True)
        if command == ["repair"]:
            (zoo / "shards" / "00000.safetensors").unlink()
        assert main(["zoo", command[0], str(zoo), *command[1:]]) in (0, 2)


@pytest.fixture(scope="module")
def state_dicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One network in both kinds of files."""
    spec = NetworkSpec((2, 6, 5, 1))
    state = {k: v.clone() for k, v in spec.unpack(torch.arange(spec.num_params) / 7).items()}
    file = io.BytesIO()
    torch.save({**state, "label": 3}, file)
    return {"network.pth": file.getvalue(), "network.safetensors": safetensors.torch.save(state)}


def damaged_network(folder: Path, content: bytes, name: str, damage: Damage) -> None:
    path = folder / name
    path.write_bytes(damage(content))
    try:
        found = read_state_dict(path)
        chain_of(found.tensors)
    except ValueError:
        return
    assert sum(tensor.numel() for tensor in found.tensors) <= len(content), "more numbers than the file can hold"
    if name.endswith(".pth"):  # which has checksums: what is read is what was written
        spec = NetworkSpec((2, 6, 5, 1))
        params = torch.cat([tensor.reshape(-1) for tensor in found.tensors])
        assert torch.equal(params, torch.arange(spec.num_params) / 7)


def damaged_pickle(folder: Path, content: bytes, damage: Damage) -> None:
    """A torch file whose pickle is damaged and whose checksums fit: an error, or tensors that the file can hold."""
    path = folder / "network.pth"
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            part = old.read(entry)
            new.writestr(entry.filename, damage(part) if entry.filename.endswith("data.pkl") else part)
    try:
        found = read_state_dict(path)
    except ValueError:
        return
    assert sum(tensor.numel() for tensor in found.tensors) <= len(found.tensors) * path.stat().st_size


@pytest.fixture(scope="module")
def meshes() -> dict[str, bytes]:
    """Files of ``MESHES``."""
    files = {}
    for ending in (".off", ".obj", ".stl", ".ply"):
        content = trimesh.creation.box((1, 0.5, 0.3)).export(file_type=ending[1:])
        files[ending] = content if isinstance(content, bytes) else content.encode()
    rows = ["COFF", "5 5 8", "0 0 0 1 0 0", "2 0 0 0 1 0", "0.5 0.5 0 0 0 1", "0 2 0 1 1 1", "0.2 0.2 1 0 0 0"]
    rows += ["4 3 2 1 0", "3 0 1 4", "3 1 2 4", "3 2 3 4", "3 3 0 4"]  # over a quad that is not convex
    files["dart.off"] = "\n".join(rows).encode()
    faces = b"".join(struct.pack(f"<B{row[0]}i", *row) for row in ([int(n) for n in line.split()] for line in rows[7:]))
    points = struct.pack("<15f", *(float(n) for row in rows[2:7] for n in row.split()[:3]))
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
    head += "property float z\nelement face 5\nproperty list uchar int vertex_index\nend_header\n"
    files["dart.ply"] = head.encode() + points + faces
    return files


def damaged_mesh(content: bytes, ending: str, damage: Damage) -> None:
    """An error of ours, or triangles that the file can hold, normalised, whose inside can be told."""
    damaged = damage(content)
    try:
        mesh = parse_mesh(damaged, ending[-4:])
    except ValueError:
        return
    assert 0 < len(mesh.faces) <= len(damaged)
    assert float(mesh.vertices[mesh.faces].max()) <= 0.9 + 1e-9
    assert float(mesh.vertices[mesh.faces].min()) >= -0.9 - 1e-9
    leak(mesh)
    surface = np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64)
    points = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    assert winding_number(points, *surface).isfinite().all()
    assert (surface_distance(points, *surface) <= 4).all()


def cases(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=20_000,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        derandomize=True,
    )


@cases(60)
@given(damage=damages(), file=st.sampled_from([FILE, "shards/00000.safetensors"]))
def test_zoo(damage: Damage, file: str, healthy: Path) -> None:
    damaged_file(healthy, file, damage)


@cases(60)
@given(change=header_changes())
def test_header_with_a_digest_that_fits(change: Any, healthy: Path, digits: dict[str, torch.Tensor]) -> None:
    damaged_header(healthy, change, digits)


@cases(12)
@given(change=header_changes())
def test_commands(change: Any, healthy: Path, tmp_path: Path) -> None:
    commands_on(healthy, change, tmp_path)


@cases(60)
@given(damage=damages(), name=st.sampled_from(["network.pth", "network.safetensors"]))
def test_network(damage: Damage, name: str, state_dicts: dict[str, bytes], tmp_path: Path) -> None:
    damaged_network(tmp_path, state_dicts[name], name, damage)


@cases(60)
@given(damage=damages())
def test_pickle_with_checksums_that_fit(damage: Damage, state_dicts: dict[str, bytes], tmp_path: Path) -> None:
    damaged_pickle(tmp_path, state_dicts["network.pth"], damage)


@cases(60)
@given(damage=damages(), ending=st.sampled_from(MESHES))
def test_mesh(damage: Damage, ending: str, meshes: dict[str, bytes]) -> None:
    damaged_mesh(meshes[ending], ending, damage)


@pytest.mark.long
@cases(500)
@given(damage=damages(), file=st.sampled_from([FILE, "shards/00000.safetensors"]))
def test_zoo_long(damage: Damage, file: str, healthy: Path) -> None:
    damaged_file(healthy, file, damage)


@pytest.mark.long
@cases(500)
@given(change=header_changes())
def test_header_with_a_digest_that_fits_long(change: Any, healthy: Path, digits: dict[str, torch.Tensor]) -> None:
    damaged_header(healthy, change, digits)


@pytest.mark.long
@cases(300)
@given(change=header_changes())
def test_commands_long(change: Any, healthy: Path, tmp_path: Path) -> None:
    commands_on(healthy, change, tmp_path)


@pytest.mark.long
@cases(500)
@given(damage=damages(), name=st.sampled_from(["network.pth", "network.safetensors"]))
def test_network_long(damage: Damage, name: str, state_dicts: dict[str, bytes], tmp_path: Path) -> None:
    damaged_network(tmp_path, state_dicts[name], name, damage)


@pytest.mark.long
@cases(500)
@given(damage=damages())
def test_pickle_with_checksums_that_fit_long(damage: Damage, state_dicts: dict[str, bytes], tmp_path: Path) -> None:
    damaged_pickle(tmp_path, state_dicts["network.pth"], damage)


@pytest.mark.long
@cases(1000)
@given(damage=damages(), ending=st.sampled_from(MESHES))
def test_mesh_long(damage: Damage, ending: str, meshes: dict[str, bytes]) -> None:
    damaged_mesh(meshes[ending], ending, damage)
