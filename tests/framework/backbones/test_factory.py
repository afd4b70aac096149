from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import pytest
import torch
from weightspace.backbones import DWS, MLP, Backbone, Canonical
from weightspace.backbones.factory import backbone_factory, build_backbone
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks import FineTuneTask, SupervisedTask

SPEC = NetworkSpec((2, 4, 1), "sine")


def annotated(spec: NetworkSpec, out_dim: int) -> torch.nn.Linear:
    return torch.nn.Linear(1, 1)


def test_a_class_with_its_arguments_can_be_read_and_sent_to_another_process() -> None:
    made = Canonical.partial(backbone=MLP.partial(hidden=3, layers=1))
    assert repr(made) == "Canonical.partial(backbone=MLP.partial(hidden=3, layers=1))"
    again = pickle.loads(pickle.dumps(made))
    built = build_backbone(backbone_factory(again), SPEC, 5)
    assert (type(built), type(built.backbone), built.out_dim) == (Canonical, MLP, 5)
    assert built.description() == Canonical(SPEC, 5, partial(MLP, hidden=3, layers=1)).description()


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (
            DWS,
            {"hiden": 8},
            r"DWS.partial\(hiden=8\): .*unexpected keyword argument 'hiden'; DWS\(spec, out_dim, hidden=16",
        ),
        (DWS, {"out_dim": 3}, "multiple values for argument 'out_dim'.*of which spec and out_dim come from the data"),
        (Canonical, {}, "missing a required argument: 'backbone'"),
    ],
)
def test_wrong_arguments_are_refused_at_once(cls: type[Backbone], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls.partial(**arguments)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("DWS", r"'DWS' \(str\)"),
        (None, "None"),
        (torch.nn.Linear, "the class Linear"),
        (partial(torch.nn.Linear, 3), "partial"),
        (torch.nn.Linear(1, 1), "a Linear"),
        (annotated, "annotated"),
    ],
)
@pytest.mark.parametrize("task", [SupervisedTask, FineTuneTask])
def test_tasks_refuse_what_makes_no_backbone_in_their_constructor(task: type, given: Any, found: str) -> None:
    expected = (
        rf"{task.__name__}: backbone: expected a backbone class, DWS.partial\(...\), or a Backbone; found .*{found}"
    )
    with pytest.raises(ConfigError, match=expected):
        task(given)


def test_a_backbone_that_is_built_fits_its_own_networks_alone() -> None:
    built = MLP(SPEC, 3, hidden=4)
    make = backbone_factory(built)
    assert make(SPEC, 3) is built
    with pytest.raises(ConfigError, match=r"the MLP was built for out_dim 3, and out_dim 4 is needed.*MLP.partial\("):
        make(SPEC, 4)
    with pytest.raises(ConfigError, match="was built for .*sine.*, and .*relu"):
        make(NetworkSpec((2, 4, 1), "relu"), 3)
    assert "make_backbone" not in dict(SupervisedTask(built).named_modules())
    with pytest.raises(ConfigError, match="a pretrained encoder is given by its file"):
        FineTuneTask(built)
