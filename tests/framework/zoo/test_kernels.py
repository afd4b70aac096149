"""Zoos of networks with convolutions: format 2, which is written for them alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from convolved_networks import SHAPES, convolved
from weightspace.backbones import DWS
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ZooError
from weightspace.zoo import Zoo, align_zoo, write_zoo
from weightspace.zoo.header import ZooHeader, digest


@pytest.fixture(params=SHAPES)
def written(request, tmp_path: Path) -> Zoo:
    batch = convolved(request.param, count=12)
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    params, targets = batch.params.float(), torch.arange(12) % 2
    return write_zoo(tmp_path / "zoo", params, batch.spec, targets=targets, names=["a", "b"], splits=splits)


def test_a_zoo_comes_back(written: Zoo) -> None:
    zoo = Zoo(written.path)
    assert json.loads((zoo.path / "zoo.json").read_text())["format"] == 2
    assert zoo.spec.kernels
    batch = zoo["train"][:3]
    assert [tuple(w.shape[1:]) for w in batch.weights] == [tuple(shape) for shape in zoo.spec.weight_shapes]
    assert str(zoo.spec) in repr(zoo)


def test_the_other_format_is_not_taken(written: Zoo, tmp_path: Path) -> None:
    path = written.path / "zoo.json"
    content = json.loads(path.read_text())
    content.pop("digest")
    content["format"] = 1
    path.write_text(json.dumps({**content, "digest": digest(content)}))
    with pytest.raises(ZooError, match="does not follow zoo format 1: networks .* are those of format 2"):
        Zoo(written.path)


def test_zoos_without_kernels_stay_in_format_1(digits_zoo: Path) -> None:
    text = (digits_zoo / "zoo.json").read_text()
    assert json.loads(text)["format"] == 1
    assert "kernels" not in json.loads(text)["spec"]
    assert ZooHeader.read(digits_zoo).to_text() == text


def test_commands_describe_verify_and_align(written: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("info", "verify"):
        assert main(["zoo", command, str(written.path)]) == 0
    assert "conv" in capsys.readouterr().out
    assert main(["zoo", "show", str(written.path), "--out", str(written.path.parent / "p.png")]) == 2
    assert "cannot be drawn" in " ".join(capsys.readouterr().err.split())
    align_zoo(written, to="mean")
    assert Zoo(written.path).alignments == ["mean"]


def test_batches_are_served_with_augmentations(written: Zoo) -> None:
    data = ZooDataModule(written, batch_size=4, augmentations=["permute", "positive_scale", "mixup_aligned"])
    model = DWS(written.spec, 2, hidden=3, layers=1)
    batch = data.training_batch()
    model.fit_normaliser(batch)
    assert model(data.chain(batch)).isfinite().all()
