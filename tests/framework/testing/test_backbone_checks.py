"""Each rule fails for a backbone that breaks it, and names itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pages import blocks
from torch import nn
from weightspace.backbones import Backbone, Normaliser
from weightspace.backbones.description import as_state, from_state
from weightspace.errors import ConfigError, SpecError
from weightspace.spec import NetworkSpec
from weightspace.testing import backbone_checks, check_backbone, parametrize_checks
from weightspace.testing.backbone_rules import BASIC, OTHERS


class Good(Backbone):
    """Sums over the neurons of each layer; the others differ from it in one thing."""

    invariant_to = frozenset({"permutation"})

    def __init__(self, spec, out_dim) -> None:
        super().__init__(spec, out_dim, Normaliser.per_tensor(spec))
        self.head = nn.Linear(spec.num_layers, out_dim)

    def features(self, params):
        scaled = self.normaliser(params)
        return torch.stack([scaled[:, where].square().mean(1) for where in self.spec.weight_slices], dim=1)

    def encode(self, params):
        return self.head(self.features(params))


class UnknownAttribute(Good):
    invariant_to = frozenset({"rotation"})


class WrongShape(Good):
    def encode(self, params):
        return super().encode(params)[:, :3]


class InPlace(Good):
    def encode(self, params):
        return super().encode(params.mul_(2))


class Blind(Good):
    def features(self, params):
        return torch.ones_like(super().features(params))


class Averaging(Good):
    def encode(self, params):
        result = super().encode(params)
        return result - result.mean(0)


class Moody(Good):
    def encode(self, params):
        return super().encode(params) + torch.rand(1, dtype=params.dtype)


class Boastful(Good):
    def features(self, params):
        return super().features(params) + params[:, :1]


class Crooked(Good):
    invariant_to = frozenset()
    equivariant_to = frozenset({"permutation"})

    def __init__(self, spec, out_dim) -> None:
        if out_dim != spec.num_params:
            raise ConfigError(f"out_dim must be {spec.num_params}, found {out_dim}")
        super().__init__(spec, out_dim)


class Dead(Good):
    def __init__(self, spec, out_dim) -> None:
        super().__init__(spec, out_dim)
        self.unused = nn.Parameter(torch.ones(2))


class Forgetful(Good):
    def __init__(self, spec, out_dim) -> None:
        super().__init__(spec, out_dim)
        self.scale = 1.0

    def fit_normaliser(self, batch) -> None:
        self.scale = float(batch.params.abs().mean())

    def features(self, params):
        return super().features(params / self.scale)


def altered(spec, out_dim) -> Backbone:
    """Changes what no argument says."""
    backbone = Good(spec, out_dim)
    backbone.features = lambda params: 2 * Good.features(backbone, params)
    return backbone


class Permissive(Good):
    def set_extra_state(self, state) -> None:
        pass


class Narrow(Good):
    """Reads networks of other widths at the places where its own have their weights."""

    free_widths = True

    def encode(self, params, spec=None):
        scaled = self.normaliser(params, spec)
        return self.head(torch.stack([scaled[:, where].square().mean(1) for where in self.spec.weight_slices], dim=1))


BROKEN = {
    UnknownAttribute: "attributes_are_valid",
    WrongShape: "result_has_the_shape",
    InPlace: "input_is_not_changed",
    Blind: "networks_are_told_apart",
    Averaging: "networks_are_independent",
    Moody: "evaluation_is_deterministic",
    Boastful: "invariances_hold",
    Crooked: "equivariances_hold",
    Dead: "every_parameter_learns",
    Forgetful: "weights_survive",
    altered: "the_description_builds_it",
    Permissive: "other_networks_are_refused",
    Narrow: "other_widths_are_read",
}


def test_the_backbone_of_the_guide_keeps_the_contract() -> None:
    guide = Path(__file__).parents[3] / "docs" / "plugins.md"
    (code,) = (block.text for block in blocks(guide) if "class NeuronNorms" in block.text)
    names: dict = {}
    exec(code, names)  # our own text
    check_backbone(names["NeuronNorms"])


@parametrize_checks(Good)
def test_a_good_one_passes(check) -> None:
    check()


@pytest.mark.parametrize("cls", BROKEN, ids=lambda c: c.__name__)
def test_what_is_broken_is_named_with_numbers(cls) -> None:
    with pytest.raises(AssertionError, match=f"{cls.__name__}: broken rule {BROKEN[cls]} ") as failure:
        check_backbone(cls)
    assert "on networks 2-6-1 sine" in str(failure.value)


def test_every_rule_has_a_backbone_that_breaks_it() -> None:
    assert {rule.__name__ for rule in (*BASIC, *OTHERS)} == set(BROKEN.values())


def test_networks_that_a_backbone_refuses_are_left_out() -> None:
    class SineOnly(Good):
        def __init__(self, spec, out_dim) -> None:
            if spec.activation != "sine":
                raise SpecError(f"SineOnly takes sine networks, found {spec}")
            super().__init__(spec, out_dim)

    check_backbone(SineOnly)

    def nothing(spec, out_dim):
        raise SpecError("none at all")

    with pytest.raises(AssertionError, match="nothing accepts no networks; the last reason: none at all"):
        backbone_checks(nothing)


def test_options_of_a_constructor_are_described_by_their_names() -> None:
    class Optional(Good):
        def __init__(self, spec, out_dim, *nothing, **options) -> None:
            super().__init__(spec, out_dim)
            self.power = options.get("power", 1)

        def features(self, params):
            return super().features(params) ** self.power

    check_backbone(Optional.partial(power=2))
    spec = NetworkSpec((2, 3, 1), "sine", 30.0)
    assert Optional(spec, 3, power=2).description()["arguments"] == {"power": 2}
    state = Optional(spec, 3, power=2).state_dict()
    described = from_state(state["_extra_state"])
    before = {**described, "arguments": {"nothing": [], "options": {"power": 2}}}  # of an earlier version
    Optional(spec, 3, power=2).load_state_dict({**state, "_extra_state": as_state(before)})
    with pytest.raises(SpecError, match="power is missing here, and 2 in the saved weights"):
        Optional(spec, 3).load_state_dict(Optional(spec, 3, power=2).state_dict())


def test_subjects_that_cannot_be_checked(random_batch) -> None:
    with pytest.raises(AssertionError, match="expected the class Good, or a function, found an instance"):
        check_backbone(Good(random_batch().spec, 3))
    with pytest.raises(AssertionError, match="found None"):
        check_backbone(None)


def test_a_nameless_function_is_called_by_what_it_makes() -> None:
    assert backbone_checks(lambda spec, out_dim: Good(spec, out_dim))[0].name == "Good-attributes_are_valid"


def test_checks_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    check_backbone(Good)
    assert torch.equal(before, torch.get_rng_state())


def test_lazy_parameters_are_refused() -> None:
    class Lazy(Good):
        def __init__(self, spec, out_dim) -> None:
            super().__init__(spec, out_dim)
            self.head = nn.LazyLinear(out_dim)

    with pytest.raises(
        AssertionError, match=r"Lazy: broken rule attributes_are_valid .*head.weight, head.bias have no shape"
    ):
        check_backbone(Lazy)


def test_other_errors_are_reported() -> None:
    def broken(spec, out_dim):
        raise KeyError("typo")

    with pytest.raises(
        AssertionError, match="broken: broken rule attributes_are_valid .*raised KeyError: 'typo'"
    ) as failure:
        check_backbone(broken)
    untried = [rule.__name__ for rule in (*BASIC, *OTHERS)[1:]]
    assert str(failure.value).split("\n")[1:] == [
        f"not tried, because attributes_are_valid is broken: {', '.join(untried)}"
    ]
