"""Checking the contract of a backbone."""

from __future__ import annotations

from weightspace.backbones import Backbone
from weightspace.errors import WeightspaceError
from weightspace.spec import NetworkSpec
from weightspace.testing.backbone_rules import BASIC, OTHERS, MakeBackbone, made
from weightspace.testing.check import Check, contract, name_of, run_checks
from weightspace.testing.networks import WIDTHS, network_cases, odd_specs, random_networks, specs

#: Every activation, shallow, deep or both; convolutions; layers without biases, of several activations.
SPECS = (
    *(spec for spec in specs((WIDTHS[0],)) if spec.activation != "relu"),
    *(spec for spec in specs((WIDTHS[-1],)) if spec.activation != "tanh"),
    *odd_specs(),
)


def backbone_checks(make: MakeBackbone, device: str = "cpu") -> list[Check]:
    """One check for each rule of the contract.

    Args:
        make: the class, or a function (spec, out_dim) -> backbone.
        device: where it is checked, for instance "cuda"; one with float64.

    Raises:
        AssertionError: no networks are accepted.
    """
    assert callable(make), f"expected a class of a backbone or a function (spec, out_dim) -> backbone, found {make!r}"
    assert not isinstance(make, Backbone), f"expected the class {type(make).__name__}, or a function, found an instance"
    name = _name(make)
    refusals = {spec: _refusal(make, spec) for spec in SPECS}
    accepted = [spec for spec, reason in refusals.items() if reason is None]
    assert accepted, f"{name} accepts no networks; the last reason: {refusals[SPECS[-1]]}"
    networks = [random_networks(spec).to(device) for spec in accepted]
    return contract(name, BASIC, OTHERS, lambda: network_cases(make, networks))


def check_backbone(make: MakeBackbone, device: str = "cpu") -> None:
    """Checks every rule of the contract, on networks of all kinds that the backbone accepts.

    They are of all activations, one with convolutions, and one of several activations without biases in some layers. A
    backbone that cannot read some of them raises a ``SpecError`` in its constructor.

    Args:
        make: the class, or a function (spec, out_dim) -> backbone.
        device: where it is checked, for instance "cuda"; one with float64.

    Raises:
        AssertionError: lists all rules that are broken, with numbers.

    >>> from weightspace.backbones import DWS
    >>> check_backbone(lambda spec, out_dim: DWS(spec, out_dim, hidden=3, layers=1))
    """
    run_checks(backbone_checks(make, device))


def _name(make: MakeBackbone) -> str:
    """That of the class, of the function, or of what a nameless function makes."""
    try:
        return name_of(make, "") or type(made(make, SPECS[0])).__name__
    except Exception:
        return "<lambda>"


def _refusal(make: MakeBackbone, spec: NetworkSpec) -> str | None:
    """Why a backbone cannot be built for these networks; None if it can. Other errors than ours are left to a rule."""
    try:
        made(make, spec)
    except WeightspaceError as error:
        return str(error)
    except Exception:
        return None
    return None
