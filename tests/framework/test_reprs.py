"""What objects of the public classes print in a console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import weightspace as ws
from torch import nn
from weightspace.augment import AugmentationChain, build_augmentations
from weightspace.sources import ImageSource, load_source

MANY = tuple(f"a class with a long name {number}" for number in range(1000))


class Callbacks(list[Any]):
    """A list that prints its entries alone."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


OBJECTS: dict[str, Callable[[ws.Zoo, ws.WeightBatch], Any]] = {
    "Zoo": lambda zoo, batch: zoo,
    "Split": lambda zoo, batch: zoo["train"],
    "Dataset": lambda zoo, batch: zoo.to_dataset("train"),
    "ZooHeader": lambda zoo, batch: zoo.header,
    "ZooDataModule": lambda zoo, batch: ws.ZooDataModule(zoo, augmentations=["rotate"]),
    "NetworkSpec": lambda zoo, batch: batch.spec,
    "WeightBatch": lambda zoo, batch: batch,
    "GroupElement": lambda zoo, batch: ws.GroupElement.random(
        batch, {"permutation", "sign"}, torch.Generator().manual_seed(0)
    ),
    "Augmentation": lambda zoo, batch: ws.augmentation("rotate", degrees=20),
    "SelfMixUp": lambda zoo, batch: ws.augmentation("self_mixup", augmentations=[{"rotate": {"p": 0.5}}] * 50),
    "AugmentationChain": lambda zoo, batch: AugmentationChain(build_augmentations(["permute"]), 0),
    "ImageSource": lambda zoo, batch: ImageSource(
        "many", np.zeros((1000, 4, 4, 1), np.uint8), np.arange(1000), MANY, num_train=900, num_val=50
    ),
    "digits": lambda zoo, batch: load_source("digits"),
    "shapes": lambda zoo, batch: load_source("shapes"),
    "classifiers": lambda zoo, batch: load_source("classifiers", data="iris"),
    "DWS": lambda zoo, batch: ws.DWS(batch.spec, 3, hidden=4),
    "partial": lambda zoo, batch: ws.DWS.partial(hidden=16),
    "SupervisedTask": lambda zoo, batch: ws.SupervisedTask(ws.DWS),
    "callbacks": lambda zoo, batch: Callbacks(ws.standard_callbacks("runs/none")),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_it_is_short_and_says_what_it_is(name: str, zoo: ws.Zoo, random_batch: Callable[[], ws.WeightBatch]) -> None:
    found = OBJECTS[name](zoo, random_batch())
    text = repr(found)
    assert "object at 0x" not in text
    assert "tensor(" not in text
    assert "array(" not in text
    assert isinstance(found, nn.Module) or len(text) < 2000
    assert not text.startswith("<")


def test_elements_sources_and_augmentations_name_their_parts(zoo: ws.Zoo) -> None:
    element = ws.align(zoo["train"][:8], zoo["train"][8:16])
    assert repr(element) == "GroupElement(8 networks, permutation+sign+phase of 8, 8 hidden neurons)"
    assert repr(load_source("digits")) == (
        "ImageSource 'digits': 1,797 objects (1,797 train, 0 val, 0 test); inputs 2, outputs 1; "
        "classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    )
    task = ws.SupervisedTask(ws.DWS.partial(hidden=4))
    assert repr(task) == "SupervisedTask (no modules yet: they are built for the zoo that it is trained on)"
    assert "(backbone): DWS(" in repr(task.build_for(ws.ZooDataModule(zoo)))
    assert repr(ws.DWS.partial(hidden=16)) == "DWS.partial(hidden=16)"
    assert repr(ws.augmentation("rotate", degrees=20)) == "Rotate(degrees=20.0, p=1.0, axis='any')"
