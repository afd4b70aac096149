"""What the public functions say to a value of another type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import weightspace as ws
from weightspace.errors import WeightspaceError

POINTS = torch.zeros(1, 2)
MISTAKES: dict[str, tuple[Callable[[ws.Zoo, ws.WeightBatch], Any], str]] = {
    "align a zoo": (lambda zoo, batch: ws.align(zoo, batch), "reference must be a WeightBatch.*found Zoo"),
    "align a split": (lambda zoo, batch: ws.align(batch, zoo["train"]), "other must be a WeightBatch.*found Split"),
    "canonicalise": (lambda zoo, batch: ws.canonicalise(batch.params), "batch must be a WeightBatch.*found Tensor"),
    "evaluate": (lambda zoo, batch: ws.evaluate(zoo, POINTS), "batch must be a WeightBatch.*found Zoo"),
    "evaluate at": (lambda zoo, batch: ws.evaluate(batch, [[0, 0]]), "coordinates must be a tensor, found list"),
    "augment": (
        lambda zoo, batch: ws.augmentation("rotate")(batch.params, seed=0),
        "'rotate'.*: batch must be a WeightBatch.*found Tensor",
    ),
    "backbone": (lambda zoo, batch: ws.DWS(zoo.spec, 2)(batch.params), "batch must be a WeightBatch.*found Tensor"),
    "embed with a class": (lambda zoo, batch: ws.embed(ws.DWS, zoo), "must be one that has weights.*DWS"),
    "embed, exchanged": (lambda zoo, batch: ws.embed(zoo, ws.DWS), "must be one that has weights.*found Zoo"),
    "embed, untrained": (
        lambda zoo, batch: ws.embed(ws.SupervisedTask(ws.DWS), zoo),
        "must be one that has weights.*found SupervisedTask",
    ),
    "embed a path": (lambda zoo, batch: ws.embed(ws.DWS(zoo.spec, 2), str(zoo.path)), "must be a zoo.*found str"),
    "predict, exchanged": (lambda zoo, batch: ws.predict(zoo, batch), "task must be a trained task.*found Zoo"),
    "save": (lambda zoo, batch: ws.save_backbone(ws.DWS, "x.safetensors"), "backbone must be .*found .*DWS"),
    "load": (lambda zoo, batch: ws.load_backbone(ws.DWS), "path must be text or a Path"),
    "save nowhere": (
        lambda zoo, batch: ws.save_backbone(ws.DWS(zoo.spec, 2), zoo.path / "no" / "b.safetensors"),
        "there is no folder",
    ),
    "load a task": (lambda zoo, batch: ws.Task.load_from_checkpoint(3), "checkpoint_path must be text or a Path"),
    "import a format": (lambda zoo, batch: ws.import_zoo(".", "x", format=None), "unknown format None"),
    "load a folder": (lambda zoo, batch: ws.Task.load_from_checkpoint(zoo.path), "is a folder: give the path"),
    "build for a zoo": (lambda zoo, batch: ws.DWS(zoo, 2), "DWS: spec must be a NetworkSpec.*found Zoo"),
    "build a task for a zoo": (
        lambda zoo, batch: ws.SupervisedTask(ws.DWS).build_for(zoo),
        "needs a data module.*Zoo$",
    ),
    "random element": (
        lambda zoo, batch: ws.GroupElement.random(zoo, {"permutation"}, torch.Generator()),
        "batch must be a WeightBatch.*found Zoo",
    ),
    "standard callbacks": (lambda zoo, batch: ws.standard_callbacks(3), "folder must be text or a Path"),
    "fit objects": (lambda zoo, batch: ws.fit_zoo(3, "x", train=2), "given by its name or dotted path, found 3"),
    "fit to": (lambda zoo, batch: ws.fit_zoo("digits", 3, train=2), "out must be text or a Path"),
    "write to": (lambda zoo, batch: ws.write_zoo(3, batch.params, zoo.spec), "out must be text or a Path"),
    "batch of arrays": (
        lambda zoo, batch: ws.WeightBatch(batch.params.numpy(), zoo.spec),
        "takes a tensor of parameters.*found ndarray and NetworkSpec",
    ),
    "augmentation": (lambda zoo, batch: ws.augmentation(3), "given by its name or dotted path, found 3"),
    "zoo": (lambda zoo, batch: ws.Zoo(3), "path of a zoo must be text or a Path, found 3"),
    "a name of an alignment": (lambda zoo, batch: zoo.alignment(3), "name of an alignment must be text.*found 3"),
    "data": (lambda zoo, batch: ws.ZooDataModule(3), "path of a zoo must be text or a Path, found 3"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_message_says_what_was_expected(name: str, zoo: ws.Zoo) -> None:
    mistake, message = MISTAKES[name]
    with pytest.raises(WeightspaceError, match=message):
        mistake(zoo, zoo["train"][:2])


def test_a_backbone_without_an_architecture_points_to_partial() -> None:
    with pytest.raises(TypeError, match=r"missing a required argument: 'spec'; a task takes DWS.partial"):
        ws.DWS(hidden=4)
