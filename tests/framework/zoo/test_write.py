"""Tensors of one's own as a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from weightspace.errors import WeightspaceError, ZooError
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, shard, write_zoo
from weightspace.zoo.assignment import drawn_splits

SPEC = NetworkSpec((2, 3, 1), "tanh")
N = 70
PARAMS = torch.randn(N, SPEC.num_params, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(N) // 2 % 3


def test_what_is_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "SHARD_BYTES", 1)  # 64 networks in a shard
    splits = ["train", "internal"] + ["train"] * (N - 6) + ["validation"] * 2 + ["test"] * 2
    values = np.random.default_rng(0).random((N, 2))
    zoo = write_zoo(
        tmp_path / "z", PARAMS.double(), SPEC, targets=values, names=["depth", "width"], objects=np.arange(N) // 2 + 5,
        splits=splits, quality={"psnr": PARAMS[:, 0], "iou": [0.5] * N}, value_range=(-1, 1), notes={"by": "hand"},
    )  # fmt: skip
    assert len(zoo.header.shards) == 2
    assert torch.equal(zoo.params(torch.arange(N)), PARAMS)
    assert torch.equal(zoo.targets, torch.from_numpy(values).float())
    assert zoo.header.target == {"kind": "value", "names": ["depth", "width"]}
    assert torch.equal(zoo.objects, torch.arange(N) // 2 + 5)
    assert torch.equal(zoo.views, torch.arange(N) % 2)
    assert [zoo.rows(split).tolist() for split in ("internal", "val", "test")] == [[1], [66, 67], [68, 69]]
    assert zoo.header.quality == ["psnr", "iou"]
    assert torch.equal(zoo.quality[:, 0], PARAMS[:, 0])
    assert zoo.value_range == (-1.0, 1.0)
    assert zoo.header.provenance["notes"] == {"by": "hand"}
    assert torch.equal(Zoo(tmp_path / "z").params(torch.arange(N)), PARAMS)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_whole_numbers_may_be_unsigned(tmp_path: Path, kind: type) -> None:
    objects = np.arange(N, dtype=kind) // 2
    zoo = write_zoo(tmp_path / "z", PARAMS, SPEC, targets=CLASSES.numpy().astype(kind), objects=objects)
    assert torch.equal(zoo.targets, CLASSES)
    assert torch.equal(zoo.objects, torch.arange(N) // 2)


def test_state_dicts_are_packed(tmp_path: Path) -> None:
    networks = [nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)) for _ in range(2)]
    zoo = write_zoo(tmp_path / "z", [network.state_dict() for network in networks], SPEC, targets=[1, 0])
    expected = torch.stack([nn.utils.parameters_to_vector(network.parameters()) for network in networks])
    assert torch.equal(zoo.params(torch.arange(2)), expected.detach())
    assert zoo.class_names == ["0", "1"]


def test_the_same_call_gives_the_zoo_that_is_there(tmp_path: Path) -> None:
    first = write_zoo(tmp_path / "z", PARAMS, SPEC, targets=CLASSES)
    assert write_zoo(tmp_path / "z", PARAMS, SPEC, targets=CLASSES).digest == first.digest
    with pytest.raises(ZooError, match="holds a finished zoo of another job:\n  networks: other weights"):
        write_zoo(tmp_path / "z", PARAMS, SPEC, targets=CLASSES, val=2)


@pytest.mark.parametrize(("val", "test", "counts"), [(0.2, 0.4, (7, 14)), (3, 1, (3, 1)), (0, 0, (0, 0))])
def test_splits_are_drawn_by_object(val: float, test: float, counts: tuple[int, int]) -> None:
    objects = torch.arange(N) // 2 * 3
    splits = drawn_splits(objects, val, test, seed=int(bool(val)))
    assert tuple(len(objects[splits == number].unique()) for number in (1, 2)) == counts
    assert torch.equal(splits[0::2], splits[1::2]), "both views of an object"
    assert torch.equal(splits, drawn_splits(objects, val, test, seed=int(bool(val))))
    assert not any(counts) or not torch.equal(splits, drawn_splits(objects, val, test, seed=2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"params": PARAMS[:, :-1]}, r"params: expected (n, 13) real numbers for 2-3-1 tanh, or a list of state_dicts"),
        ({"params": PARAMS[:0]}, "found (0, 13) of float32"),
        ({"params": "weights"}, "params: expected numbers, found str"),
        ({"params": PARAMS.index_fill(0, torch.tensor(4), torch.nan)}, "params: 1 of 70 networks have numbers that"),
        ({"params": PARAMS.double() * 1e300}, "too large for float32), first network 0: leave them out"),
        ({"params": [{"0.weight": PARAMS}]}, "params: network 0: state_dict does not fit"),
        ({"spec": "2-3-1"}, "spec: expected a NetworkSpec, found str"),
        ({"targets": None}, "targets are missing"),
        ({"targets": CLASSES[:-1]}, "targets: expected (70,) whole numbers"),
        ({"targets": CLASSES - 1}, "targets must be at least 0, found -1 for network 0"),
        ({"targets": CLASSES > 0}, "targets: expected (70, 1) real numbers, found (70, 1) of bool"),
        ({"names": ["a", "b"]}, "targets: class 2 has no name, names has 2"),
        ({"names": ["a", "b", "a"]}, "names: expected different texts"),
        ({"objects": CLASSES[:3]}, "objects: expected (70,) whole numbers, one for each network, found (3,) of int64"),
        ({"objects": CLASSES * 0.5}, "objects: expected (70,) whole numbers"),
        ({"objects": torch.arange(N) // 4}, "networks 0 and 2 are of object 0, but of different classes"),
        ({"objects": CLASSES, "views": CLASSES}, "networks 0 and 1 are both of object 0, view 0"),
        ({"objects": torch.arange(N) // 2, "splits": [0, 1] * 35}, "are of object 0, but of different splits"),
        ({"splits": ["train"] * 3}, "splits: expected 70, one for each network, found 3"),
        ({"splits": ["dev"] * N}, "found 'dev' for network 0"),
        ({"splits": [4] * N}, "found 4 for network 0"),
        ({"splits": [0] * N, "val": 0.5}, "leave val, test and seed out"),
        ({"val": 0.5, "test": 0.5}, "leave none of 70 objects"),
        ({"val": -1}, "val must be at least 0"),
        ({"val": 1.5}, "val must be in [0, 1)"),
        ({"seed": 3}, "seed 3 has no effect"),
        ({"names": 3}, "names: expected a list of texts, found int"),
        ({"targets": ["cat", "dog"] * 35, "names": ["cat", "cow"]}, "class 'dog' is not among names: Known: cat, cow"),
        ({"quality": [1.0] * N}, "quality: expected columns by name, as {'psnr': values}, found list"),
        ({"value_range": 3}, "value_range should be two different numbers, found 3"),
        ({"quality": {"psnr": [1.0]}}, "quality psnr: expected (70,) real numbers"),
        ({"value_range": (0, 0)}, "value_range should be two different numbers"),
        ({"notes": {"what": PARAMS}}, "notes: expected what JSON can hold"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightspaceError) as caught:
        write_zoo(**{"out": tmp_path / "z", "params": PARAMS, "spec": SPEC, "targets": CLASSES, **arguments})
    assert message in str(caught.value)
    assert not (tmp_path / "z").exists()


def test_classes_may_be_given_by_name(tmp_path: Path) -> None:
    words = ["net10", "net9", "cat"]
    zoo = write_zoo(tmp_path / "z", PARAMS[:3], SPEC, targets=words)
    assert (zoo.class_names, zoo.targets.tolist()) == (["cat", "net9", "net10"], [2, 1, 0])
    zoo = write_zoo(tmp_path / "y", PARAMS[:3], SPEC, targets=words, names=[*words, "dog"])
    assert (zoo.class_names, zoo.targets.tolist()) == ([*words, "dog"], [0, 1, 2])
