from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch import nn
from weightspace.errors import SpecError
from weightspace.spec import NetworkSpec


def relu_network(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(widths):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 7, 5, 2), (1, 4, 4, 4, 4, 3)])
def test_state_dict_comes_back_unchanged(widths: tuple[int, ...]) -> None:
    spec = NetworkSpec(widths, "relu")
    state = relu_network(widths).state_dict()
    back = spec.unpack(spec.pack(state), list(state))
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)
    assert spec.num_params == sum(t.numel() for t in state.values())


def test_json_round_trip() -> None:
    spec = NetworkSpec((3, 8, 9, 2), "sine", (30.0, 10.0), 0.5)
    assert NetworkSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert NetworkSpec.from_json(json.dumps(spec.to_json())) == spec


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (2, 1)}, "at least three"),
        ({"widths": (2, 0, 1)}, "at least three"),
        ({"widths": (2, 8.5, 1)}, "whole numbers"),
        ({"widths": (2, True, 1)}, "whole numbers"),
        ({"widths": ("2", "8", "1")}, "whole numbers"),
        ({"widths": 7}, "whole numbers"),
        ({"widths": (2, 10**6, 10**6, 1)}, "1,000,000,000 parameters at most, found 1,000,0"),
        ({"widths": (2,) * 2000}, "1,000 layers"),
        ({"widths": (2, 3, 1), "omega": float("nan")}, "omega must be one number > 0"),
        ({"widths": (2, 3, 1), "omega": float("inf")}, "omega must be one number > 0"),
        ({"widths": (2, 3, 1), "omega": ("30",)}, "omega must be one number > 0"),
        ({"widths": (2, 3, 1), "output_offset": float("nan")}, "output_offset must be a finite number"),
        ({"widths": (2, 3, 1), "output_offset": "x"}, "output_offset must be a finite number"),
        ({"widths": (2, 3, 1), "activation": {"sine": 1}}, "unknown activation"),
        ({"widths": (2, 3, 1), "activation": "sin"}, "did you mean 'sine'"),
        ({"widths": (2, 3, 1), "omega": (1.0, 2.0)}, "each of 1 hidden"),
        ({"widths": (2, 3, 1), "omega": -1.0}, "> 0"),
        ({"widths": (2, 3, 1), "activation": "relu", "omega": 30.0}, "omega must be 1 for relu networks"),
    ],
)
def test_bad_specs_say_why(arguments: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        NetworkSpec(**arguments)


def test_what_unpack_has_named_is_packed_in_any_order() -> None:
    spec = NetworkSpec((3,) * 13, "tanh", biases=(False,) * 12)  # "10.weight" is before "2.weight" by name
    params = torch.arange(float(spec.num_params))
    named = spec.unpack(params)
    assert torch.equal(spec.pack({name: named[name] for name in sorted(named)}), params)


@pytest.mark.parametrize("given", [torch.nn.Linear(2, 3), {"state_dict": {}, "epoch": 3}, None])
def test_what_is_no_state_dict_is_refused(given: object) -> None:
    with pytest.raises(SpecError, match="expected a state_dict of tensors, found"):
        NetworkSpec((2, 4, 1), "relu").pack(given)


def test_a_state_dict_of_another_shape_is_refused() -> None:
    with pytest.raises(SpecError, match=r"expected shapes .* found"):
        NetworkSpec((2, 4, 1), "relu").pack(relu_network((2, 3, 1)).state_dict())


@pytest.mark.parametrize("data", ['{"widths": [2, 3, 1], "colour": 1}', '{"activation": "sine"}', "[1", "3"])
def test_bad_json_is_refused(data: str) -> None:
    with pytest.raises(SpecError, match="not a network spec"):
        NetworkSpec.from_json(data)


def test_frequencies_are_named_in_their_order() -> None:
    assert str(NetworkSpec((2, 5, 4, 1), "sine", (6.0, 5.0))) == "2-5-4-1 sine, omega 6/5"
    assert str(NetworkSpec((2, 5, 4, 1), "sine", (5.0, 6.0))) == "2-5-4-1 sine, omega 5/6"
    assert str(NetworkSpec((2, 5, 4, 1), "sine", (5.0, 5.0))) == "2-5-4-1 sine, omega 5"
