"""Does a backbone keep its contract?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from weightspace.backbones import Backbone
from weightspace.batch import WeightBatch
from weightspace.errors import WeightspaceError
from weightspace.spec import NetworkSpec
from weightspace.testing.backbone_rules import RULES, made
from weightspace.testing.check import Check, run_checks
from weightspace.testing.networks import WIDTHS, random_networks, specs

#: The shallowest and the deepest of all activations.
SPECS = tuple(specs((WIDTHS[0], WIDTHS[-1])))

#: A class, or a function that gives it arguments: (spec, out_dim) -> Backbone.
MakeBackbone = Callable[[NetworkSpec, int], Backbone]


def backbone_checks(make: MakeBackbone, name: str | None = None) -> list[Check]:
    """One check for each rule of the contract.

    Args:
        make: the class, or a function (spec, out_dim) -> backbone.
        name: of the subject in reports; default: that of the class or function.

    Raises:
        AssertionError: no networks are accepted.
    """
    assert callable(make), f"expected a class of a backbone or a function (spec, out_dim) -> backbone, found {make!r}"
    assert not isinstance(make, Backbone), f"expected the class {type(make).__name__}, or a function, found an instance"
    name = name or _name(make)
    refusals = [reason for spec in SPECS if (reason := _refusal(make, spec))]
    assert len(refusals) < len(SPECS), f"{name} accepts no networks; the last reason: {refusals[-1]}"
    return [Check(make, name, rule, lambda: _batches(make)) for rule in RULES]


def check_backbone(make: MakeBackbone) -> None:
    """Checks every rule of the contract, on networks of all activations and depths that the backbone accepts.

    Args:
        make: the class, or a function (spec, out_dim) -> backbone.

    Raises:
        AssertionError: lists all rules that are broken, with numbers.

    >>> from weightspace.backbones import DWS
    >>> check_backbone(lambda spec, out_dim: DWS(spec, out_dim, hidden=3, layers=1))
    """
    run_checks(backbone_checks(make))


def _name(make: MakeBackbone) -> str:
    """That of the class, of the function, or of what a nameless function makes."""
    name = str(getattr(make, "__name__", "<lambda>"))
    if name != "<lambda>":
        return name
    try:
        return type(made(make, SPECS[0])).__name__
    except Exception:
        return name


def _batches(make: MakeBackbone) -> Iterator[WeightBatch]:
    for spec in SPECS:
        if not _refusal(make, spec):
            yield random_networks(spec)


def _refusal(make: MakeBackbone, spec: NetworkSpec) -> str | None:
    """Why a backbone cannot be built for these networks; None if it can. Other errors than ours are left to a rule."""
    try:
        made(make, spec)
    except WeightspaceError as error:
        return str(error)
    except Exception:
        return None
    return None
