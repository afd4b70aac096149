"""Stored alignments: exact, damaged, stale, missing; and the command that makes them, also after kills."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import weightspace as ws
from safetensors.torch import load_file
from warm import WarmCommand
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.errors import ConfigError, ZooError
from weightspace.files.sealed import seal
from weightspace.fitting.verify import verify
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.symmetry import align
from weightspace.zoo import Zoo, ZooAlignment, ZooWriter, align_zoo, write_zoo
from weightspace.zoo.alignment.naming import check_alignment_name, default_name
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.lock import ZooLock


def sharded(folder: Path, spec: NetworkSpec, shards: int, rows: int) -> Zoo:
    """A zoo of random networks in several shards; one in five is for validation."""
    generator = torch.Generator().manual_seed(5)
    header = ZooHeader(spec, {"kind": "class", "names": ["a", "b"]}, [], {}, [])
    with ZooWriter(folder, {}, header) as writer:
        for number in range(shards):
            objects = torch.arange(number * rows, (number + 1) * rows)
            params = 0.4 * torch.randn(rows, spec.num_params, generator=generator)
            columns = {"target": objects % 2, "object": objects, "view": 0 * objects,
                       "split": (objects % 5 == 0).to(torch.uint8), "quality": torch.empty(rows, 0)}  # fmt: skip
            writer.write({"params": params, **columns}, [])
        writer.finish()
    return Zoo(folder)


@pytest.mark.parametrize("empty", [0, 2])
def test_a_shard_of_which_all_networks_were_left_out_is_passed_over(tmp_path: Path, empty: int) -> None:
    spec = NetworkSpec((2, 3, 1), "tanh")
    params = torch.randn(3, 4, spec.num_params, generator=torch.Generator().manual_seed(0))
    with ZooWriter(tmp_path / "z", {}, ZooHeader(spec, {"kind": "class", "names": ["a"]}, [], {}, [])) as writer:
        for number in range(3):
            objects = torch.arange(4 * number, 4 * number + 4)[: 0 if number == empty else 4]
            columns = {"target": 0 * objects, "object": objects, "view": 0 * objects,
                       "split": (0 * objects).to(torch.uint8), "quality": torch.empty(len(objects), 0)}  # fmt: skip
            writer.write({"params": params[number, : len(objects)], **columns}, [])
        writer.finish()
    align_zoo(tmp_path / "z", to="mean")
    assert any("8 elements of the group" in line for line in verify(Zoo(tmp_path / "z"), 0))


SPECS = {
    "sine": NetworkSpec((2, 7, 5, 2), "sine", (9.0, 11.0)),
    "tanh": NetworkSpec((2, 7, 5, 2), "tanh"),
    "relu": NetworkSpec((2, 7, 5, 2), "relu"),
}


@pytest.fixture(params=SPECS)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Zoo:
    return sharded(tmp_path / "zoo", SPECS[request.param], shards=3, rows=20)


@pytest.fixture
def sines(tmp_path: Path) -> Zoo:
    return sharded(tmp_path / "zoo", SPECS["sine"], shards=3, rows=20)


@pytest.fixture(scope="module")
def aligned_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    zoo = sharded(tmp_path_factory.mktemp("aligned") / "zoo", SPECS["sine"], shards=3, rows=20)
    return align_zoo(zoo, rounds=1).path.parents[1]


@pytest.fixture
def aligned(aligned_zoo: Path, tmp_path: Path) -> Zoo:
    """A copy, which may be damaged."""
    return Zoo(shutil.copytree(aligned_zoo, tmp_path / "zoo"))


@pytest.mark.parametrize("to", ["untrained", "7"])
def test_stored_elements_are_those_of_align_and_leave_functions_as_they_were(small: Zoo, to: str) -> None:
    alignment = align_zoo(small, to)
    rows = torch.arange(60)
    reference = alignment.reference.replace(params=alignment.reference.params.expand(60, -1))
    element = alignment.element(rows)
    moved = element.apply(small[:])
    assert torch.equal(moved.params, align(reference, small[:]).apply(small[:]).params)
    x = torch.rand(9, 2, dtype=torch.float64)
    exact = small[:].to(dtype=torch.float64)
    wide = ws.GroupElement(element.orders, *(_double(p) for p in (element.signs, element.phases, element.scales)))
    assert (evaluate(wide.apply(exact), x) - evaluate(exact, x)).abs().max() < 1e-9
    assert (exact.params - wide.apply(exact).params).abs().max() > 1e-3
    chosen = torch.tensor([41, 3, 59, 3, 20])
    assert torch.equal(alignment.frames(chosen), alignment.frames(rows)[chosen])
    assert len(alignment.frames(rows[:0])) == 0
    assert small.alignments == [{"untrained": "untrained", "7": "object-7-view-0"}[to]]


def _double(part: tuple[torch.Tensor, ...] | None) -> tuple[torch.Tensor, ...] | None:
    return None if part is None else tuple(layer.double() for layer in part)


def test_a_network_of_the_zoo_stays_where_it_is(small: Zoo) -> None:
    alignment = align_zoo(small, "7")
    assert torch.equal(alignment.reference.params, small.params(torch.tensor([7])))
    for index in (7, [7], slice(7, 8), torch.arange(len(small)) == 7):
        assert torch.equal(
            alignment.element(index).apply(small[index]).params,
            alignment.element(torch.tensor([7])).apply(small[7]).params,
        )
    with pytest.raises(IndexError, match="asked for 9999"):
        alignment.element([9999])
    with pytest.raises(TypeError, match="a slice, a list or tensor"):
        alignment.element("train")  # type: ignore[arg-type]
    moved = alignment.element(torch.tensor([7])).apply(small[7])
    assert (moved.params - small[7].params).abs().max() < 1e-6  # of ReLU networks the scales are refined


def test_each_mean_is_that_of_the_training_networks_aligned_to_the_one_before(small: Zoo) -> None:
    given = align_zoo(small, "mean", rounds=2, seed=1)
    start = given.header.reference["start"]
    assert small.splits[start["object"]] == 0
    train = small["train"][:]
    mean = small[start["object"]].params
    for _ in range(2):
        reference = train.replace(params=mean.expand(len(train), -1))
        mean = align(reference, train).apply(train).params.double().mean(0, keepdim=True).float()
    assert (given.reference.params - mean).abs().max() < 1e-6
    distance = given.header.distance
    assert distance["after"] < distance["before"]
    moved = given.element(torch.arange(60)).apply(small[:]).params - given.reference.params
    assert float(moved.square().sum(1).mean()) == pytest.approx(distance["after"], rel=1e-5)


def test_references_of_other_zoos(aligned: Zoo, tmp_path: Path) -> None:
    sines, other = aligned, sharded(tmp_path / "other", SPECS["sine"], shards=1, rows=8)
    mean = sines.alignment()
    for to, name, params in (
        (f"{sines.path}:mean", "zoo-mean", mean.reference.params),
        (f"{sines.path}:9/0", "zoo-object-9-view-0", sines[9].params),
        (sines[11], "given", sines[11].params),
    ):
        found = align_zoo(other, to)
        assert (found.name, torch.equal(found.reference.params, params)) == (name, True)
        assert "--name" not in found.header.command(other.path, name, other.spec.symmetries)
    assert found.header.reference["to"] == "a network"
    with pytest.raises(ConfigError, match="expected one network 2-7-5-2 sine"):
        align_zoo(other, WeightBatch(torch.zeros(2, SPECS["tanh"].num_params), SPECS["tanh"]))


def test_an_untrained_reference_is_of_the_size_of_the_zoos_networks(tmp_path: Path) -> None:
    spec = NetworkSpec((2, 100, 100, 1), "tanh")
    params = 0.3 * torch.randn(30, spec.num_params, generator=torch.Generator().manual_seed(0)) + 0.2
    zoo = write_zoo(tmp_path / "zoo", params, spec, targets=[0] * 30)
    one, two = (align_zoo(zoo, "untrained", name=f"seed-{seed}", seed=seed).reference.params for seed in (0, 1))
    assert not torch.equal(one, two)
    for part in spec.weight_slices[:2]:
        assert float(one[:, part].square().mean().sqrt()) == pytest.approx(0.36, rel=0.15)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"to": "70"}, ZooError, "has no network of object 70: numbers are those of .* it has objects 0 to 59$"),
        ({"to": "7/1"}, ZooError, r"has no network of object 7, view 1: .* \(OBJECT/VIEW\), and object 7 has views 0$"),
        ({"to": "average"}, ConfigError, "expected mean, untrained, OBJECT or OBJECT/VIEW .*; found 'average'"),
        ({"to": 3}, ConfigError, "or a WeightBatch of one network; found int"),
        ({"to": "nowhere:mean"}, ZooError, "no zoo at nowhere"),
        ({"group": "permutation+scale"}, ConfigError, "scale is no symmetry of networks"),
        ({"group": "all"}, ConfigError, r"group must be one of auto, .*\(the parts in any order\), found 'all'"),
        ({"group": "phase+sign"}, ConfigError, "group must be one of auto, permutation,"),
        ({"sweeps": 0}, ConfigError, r"sweeps must be in 1\.\.100, found 0"),
        ({"rounds": 0}, ConfigError, r"rounds must be in 1\.\.100, found 0"),
        ({"to": "untrained", "rounds": 2}, ConfigError, "rounds 2 has no effect with this reference"),
        ({"to": "7", "seed": 2}, ConfigError, "seed 2 has no effect with this reference"),
        ({"name": "../x"}, ConfigError, r"name: expected a letter, then up to 63 letters.*found '\.\./x'"),
        ({"name": "12"}, ConfigError, "found '12': .* in a YAML file .* a number would not be a name"),
        ({"name": "on"}, ConfigError, r"'on' in a YAML file \(stored: on\) is not text but True"),
        ({"device": "abacus"}, ConfigError, "device 'abacus' cannot be used here"),
    ],
)
def test_bad_arguments_say_why(sines: Zoo, options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        align_zoo(sines, **options)  # type: ignore[arg-type]
    assert not (sines.path / "alignments").exists()


def test_anyone_can_read_it(aligned: Zoo) -> None:
    alignment = aligned.alignment()
    header = json.loads((alignment.path / "alignment.json").read_text())
    assert header["reference"] == {"kind": "mean", "rounds": 1, "seed": 0, "to": "mean", **_start(header)}
    assert header["zoo"] == aligned.digest
    tensors = load_file(alignment.path / header["parts"][1]["file"])
    shapes = {name: (str(t.dtype), tuple(t.shape)) for name, t in tensors.items()}
    assert shapes == {
        "orders": ("torch.int16", (20, 12)),
        "signs": ("torch.int8", (20, 12)),
        "phases": ("torch.int16", (20, 12)),
        "distance": ("torch.float32", (20, 2)),
    }
    assert tensors["orders"][:, 7:].sort(1).values.tolist() == [list(range(5))] * 20


def _start(header: dict) -> dict:
    return {"start": header["reference"]["start"]}


def test_the_alignment_of_a_zoo_that_has_changed_is_refused_and_made_again(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(digits_zoo, tmp_path / "zoo"))
    assert main(["zoo", "align", str(copy), "--to", "untrained"]) == 0
    path = copy / "zoo.json"
    header = ZooHeader.read(copy)
    note = {"shard": "00000.safetensors", "was": vars(header.shards[0]), "versions": {"torch": "another"}}
    path.write_bytes(
        ZooHeader(**{**vars(header), "provenance": {**header.provenance, "repairs": [note]}}).to_text().encode()
    )
    with pytest.raises(ZooError, match=f"made before the zoo changed.*`weightspace zoo align {copy} --to untrained`"):
        Zoo(copy).alignment()
    with pytest.raises(ZooError, match="made before the zoo changed"):
        ws.ZooDataModule(copy, augmentations=[{"mixup_aligned": {"stored": True}}])
    capsys.readouterr()
    assert main(["zoo", "verify", str(copy), "--sample", "0"]) == 2
    assert "made before the zoo changed" in " ".join(capsys.readouterr().err.split())
    assert main(["zoo", "info", str(copy)]) == 0
    cells = capsys.readouterr().out.replace("│", " ")  # a long path folds the text of its cell
    assert "made before the zoo changed" in " ".join(cells.split())
    assert main(["zoo", "align", str(copy), "--to", "untrained"]) == 0
    assert "it is replaced" in capsys.readouterr().out
    assert main(["zoo", "verify", str(copy), "--sample", "0"]) == 0
    assert "alignment untrained to untrained: 220 elements" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"to": "mean", "group": "permutation", "sweeps": 1, "rounds": 2, "seed": 3},
        {"to": "untrained", "seed": 5, "name": "mine"},
        {"to": "7/0", "group": "permutation+sign"},
    ],
)
def test_the_command_that_makes_an_alignment_again_has_its_options(sines: Zoo, options: dict[str, Any]) -> None:
    alignment = align_zoo(sines, **options)
    before = files(sines.path)
    command = shlex.split(alignment.header.command(sines.path, alignment.name, sines.spec.symmetries, overwrite=True))
    given = {name for name in options if name != "to"}
    assert {word.removeprefix("--") for word in command if word.startswith("--")} == {"to", "overwrite", *given}
    shutil.rmtree(alignment.path)
    assert main(command[1:]) == 0
    assert files(sines.path) == before


def test_an_alignment_to_a_network_of_ones_own_is_made_again_in_python(sines: Zoo) -> None:
    alignment = align_zoo(sines, to=sines[:1], name="own")
    said = alignment.header.command(sines.path, "own", sines.spec.symmetries)
    assert said == f"ws.align_zoo({str(sines.path)!r}, to=NETWORK, name='own')"


def test_a_mean_is_of_the_zoos_own_splits_whatever_the_fold(sines: Zoo) -> None:
    expected = align_zoo(sines, rounds=1).reference.params
    other = sines.divided_into(1 - sines.splits, (0, 2))  # trained on what is for validation
    found = align_zoo(other, rounds=1, name="again").reference.params
    assert torch.equal(found, expected)


def test_what_a_zoo_lacks_is_told_with_the_command(sines: Zoo) -> None:
    with pytest.raises(
        ZooError, match=f"has no stored alignment: make one with `weightspace zoo align {sines.path} --to mean`"
    ):
        sines.alignment()
    align_zoo(sines, "3")
    assert sines.alignment().name == "object-3-view-0"
    with pytest.raises(ZooError, match=r"has no stored alignment 'mean': .*object-3-view-0"):
        sines.alignment("mean")
    align_zoo(sines, "4", name="four")
    with pytest.raises(ZooError, match=r"2 stored alignments \(four, object-3-view-0\): .*`stored: four` of mixup"):
        sines.alignment()
    for wrong in (3, False):
        with pytest.raises(ZooError, match=f"name of an alignment must be text, or None or True .*found {wrong}"):
            sines.alignment(wrong)  # type: ignore[arg-type]


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def _rewritten(alignment: ZooAlignment, name: str, value: int) -> None:
    """Changes one tensor, with all sums as a careless tool would write them."""
    path = alignment.path / "00001.safetensors"
    tensors = load_file(path)
    tensors[name][4, 2] = value
    content = seal(tensors, {})
    path.write_bytes(content)
    parts = list(alignment.header.parts)
    parts[1] = replace(parts[1], bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (alignment.path / "alignment.json").write_text(replace(alignment.header, parts=parts).to_text())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda a: _flipped(a.path / "00001.safetensors"), "00001.safetensors was altered: expected sha256"),
        (lambda a: (a.path / "00001.safetensors").unlink(), "00001.safetensors cannot be read: No such file"),
        (lambda a: os.truncate(a.path / "00001.safetensors", 99), "truncated or foreign: expected .* bytes, found 99"),
        (lambda a: _flipped(a.path / "reference.safetensors"), "reference.safetensors was altered"),
        (lambda a: _rewritten(a, "orders", -1), "orders holds what is no permutation"),
        (lambda a: _rewritten(a, "signs", 2), "signs holds what is no sign"),
        (lambda a: _rewritten(a, "phases", 9), "network 4 is recorded with squared distances"),
        (lambda a: _altered(a.path / "alignment.json"), "alignment.json was altered: its digest should be"),
        (lambda a: (a.path / "alignment.json").write_text("{"), "alignment.json cannot be read as JSON"),
    ],
)
def test_damage_is_found_by_verify(aligned: Zoo, damage, message: str) -> None:
    assert any("alignment mean to mean: 60 elements" in line for line in verify(aligned, sample=0))
    damage(aligned.alignment())
    with pytest.raises(ZooError, match=message):
        list(verify(Zoo(aligned.path), sample=0))


def _altered(path: Path) -> None:
    path.write_text(path.read_text().replace('"sweeps": 2', '"sweeps": 3'))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_command_again_has_nothing_to_do_and_another_one_is_refused(
    sines: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["zoo", "align", str(sines.path), "--to", "7/0", "--name", "x"]
    assert main(command) == 0
    before = files(sines.path)
    capsys.readouterr()
    assert main(command) == 0
    assert "aligned already: nothing to do" in capsys.readouterr().out
    assert main([*command, "--sweeps", "1"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "holds an alignment that is another one: sweeps: 2 there, 1 asked" in said
    assert files(sines.path) == before
    assert main([*command, "--sweeps", "1", "--overwrite", "true"]) == 0
    assert files(sines.path) != before
    assert main([*command, "--overwrite", "true"]) == 0
    assert files(sines.path) == before


def test_another_alignment_of_the_same_name_is_told_in_words(sines: Zoo) -> None:
    align_zoo(sines, "untrained", name="x", group="permutation", sweeps=1)
    with pytest.raises(ZooError) as caught:
        align_zoo(sines, "7", name="x")
    assert str(caught.value).split("another one:\n")[1].splitlines() == [
        "  reference: an untrained network (seed 0) there, object 7, view 0 of this zoo asked",
        "  group: permutation there, permutation+sign+phase asked",
        "  sweeps: 1 there, 2 asked",
        "give this one another name (--name x-2, or name=... in Python), or replace that one (--overwrite true, or "
        "overwrite=True in Python)",
    ]
    align_zoo(sines, sines[3], name="y")
    with pytest.raises(ZooError, match="reference: a given network there, a given network with other weights asked"):
        align_zoo(sines, sines[4], name="y")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("zoos/digits/", "digits-mean"), ("2024 zoos", "zoo-2024-zoos-mean"), ("z" * 80, "z" * 30 + "-mean")],
)
def test_an_alignment_is_named_after_the_zoo_of_its_reference(folder: str, name: str) -> None:
    assert default_name({"to": f"{folder}:mean", "kind": "stored", "name": "mean"}) == name
    assert check_alignment_name(name) == name


def test_the_parts_of_a_group_may_be_in_any_order(sines: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "align", str(sines.path), "--to", "7", "--group", "permutation+phase+sign"]) == 0
    assert main(["zoo", "align", str(sines.path), "--to", "7", "--group", "sign+permutation+phase"]) == 0
    said = capsys.readouterr().out
    assert "under permutation+sign+phase" in said
    assert "aligned already" in said
    assert main(["zoo", "info", str(sines.path)]) == 0
    assert "permutation+sign+phase" in capsys.readouterr().out


def test_the_counts_of_what_is_aligned_say_their_unit(sines: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    for to, begun, done in (
        ("mean", "aligning 60 .* to mean: 2 x 48 of training, then all, 156 network passes$", "156/156 network passes"),
        ("7", "aligning 60 networks 2-7-5-2 sine.* to 7$", "60/60 networks,"),
    ):
        options = ["--rounds", "2"] if to == "mean" else []
        assert main(["zoo", "align", str(sines.path), "--to", to, *options]) == 0
        said = capsys.readouterr().out
        assert re.search(begun, said, re.MULTILINE), said
        assert done in said


@pytest.mark.parametrize("replacing", [[], pytest.param(["--overwrite", "true"], marks=pytest.mark.long)])
def test_a_job_that_is_killed_twice_ends_in_the_same_bytes(
    tmp_path: Path, replacing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    spec = NetworkSpec((2, 24, 24, 1), "sine", 30.0)
    cut, whole = (sharded(tmp_path / name, spec, shards=10, rows=16) for name in ("cut", "whole"))
    align_zoo(whole)
    folder = cut.path / "alignments" / "mean"
    for waited in (folder / "rounds" / "1" / "00003.safetensors", folder / "00004.safetensors"):
        with WarmCommand("zoo", "align", str(cut.path), *replacing) as running:
            while not waited.exists():
                assert running.poll() is None, running.communicate()
                time.sleep(0.001)
            running.send_signal(signal.SIGKILL)
        assert not (folder / "alignment.json").exists()
        assert cut.alignments == []
    _flipped(folder / "00002.safetensors")  # as a disk may
    done = {path: path.stat().st_mtime_ns for path in folder.rglob("0000[013].safetensors")}
    assert len(done) > 6
    assert main(["zoo", "align", str(cut.path), "--sweeps", "1"]) == 2
    assert "holds an unfinished alignment that is another one" in " ".join(capsys.readouterr().err.split())
    assert main(["zoo", "align", str(cut.path), *replacing]) == 0
    assert files(folder) == files(whole.path / "alignments" / "mean")
    assert all(path.stat().st_mtime_ns == moment for path, moment in done.items() if path.exists())


def test_no_room_and_no_leave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = sharded(tmp_path / "zoo", NetworkSpec((2, 16, 16, 1), "sine", 30.0), shards=2, rows=40)
    with WarmCommand("zoo", "align", str(zoo.path), file_size=5_000) as running:
        _, said = running.communicate()
    assert running.returncode == 2
    assert "what is done is kept: make room, then run it again to resume" in " ".join(said.split())
    assert main(["zoo", "align", str(zoo.path)]) == 0
    with ZooLock(zoo.path), WarmCommand("zoo", "align", str(zoo.path)) as running:
        assert "another process is writing the zoo" in " ".join(running.communicate()[1].split())
        assert running.returncode == 2


def test_networks_that_cannot_be_aligned_are_named(tmp_path: Path) -> None:
    params = torch.zeros(4, SPECS["sine"].num_params)
    params[2, SPECS["sine"].bias_slices[0]] = 1e8  # a phase that float32 does not hold
    zoo = write_zoo(tmp_path / "zoo", params, SPECS["sine"], targets=[0] * 4)
    with pytest.raises(ZooError, match="networks 0 to 3: an element with a phase of"):
        align_zoo(zoo, "1")
