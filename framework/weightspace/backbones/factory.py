"""What makes a backbone once the zoo is known: a class with its arguments, a function, or a backbone itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from torch import nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.partial import BackbonePartial
from weightspace.constructed import check_constructed, constructing
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec

#: Builds a backbone for an architecture, with a result of this length: (spec, out_dim).
BackboneFactory = Callable[[NetworkSpec, int], Backbone]


@dataclass(frozen=True)
class BuiltBackbone:
    """A backbone that exists already, as what makes one: for its own architecture and length of result alone.

    Args:
        backbone: the same object in every call.
    """

    backbone: Backbone

    def __call__(self, spec: NetworkSpec, out_dim: int) -> Backbone:
        """The backbone.

        Raises:
            ConfigError: it was built for other networks, or another length of its result.
        """
        name = type(self.backbone).__name__
        for what, built, asked in (("", self.backbone.spec, spec), ("out_dim ", self.backbone.out_dim, out_dim)):
            if built != asked:
                raise ConfigError(
                    f"the {name} was built for {what}{built}, and {what}{asked} is needed: build it for that, or give "
                    f"{name}.partial(...), which takes both from the data"
                )
        return self.backbone


def backbone_factory(given: Any, title: str = "backbone") -> BackboneFactory:
    """What makes the backbone that was given, without making it.

    Args:
        given: a class derived from Backbone, what its ``partial`` returns, a function (spec, out_dim) -> Backbone, or
            a backbone.
        title: of the argument, for messages.

    Raises:
        ConfigError: it is none of them.
    """
    if isinstance(given, Backbone):
        return BuiltBackbone(given)
    made = given.func if isinstance(given, partial) else given
    if inspect.isclass(made):
        fits = issubclass(made, Backbone)
    else:
        fits = callable(made) and not isinstance(made, nn.Module) and _may_return_backbone(made)
    if not fits:
        raise ConfigError(
            f"{title}: expected a backbone class, DWS.partial(...), or a Backbone; found {_described(given)}"
        )
    factory: BackboneFactory = given
    return factory


def build_backbone(make: BackboneFactory, spec: NetworkSpec, out_dim: int) -> Backbone:
    """What a class of backbones, or a function that makes one, gives for these networks.

    Args:
        make: the class, with its arguments.
        spec: architecture of the networks.
        out_dim: length of the result.

    Raises:
        ConfigError: it gives something else, or its constructor does not call that of its base.
    """
    with constructing(ConfigError):
        made = make(spec, out_dim)
    if not isinstance(made, Backbone):
        raise ConfigError(f"backbone: expected a Backbone, found {type(made).__name__}")
    check_constructed(made, ConfigError)
    return made


def _may_return_backbone(function: Callable[..., Any]) -> bool:
    """Whether a function's return annotation is a backbone, or there is none that could be read."""
    if isinstance(function, BackbonePartial):
        return True
    try:
        returned = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return True
    return returned is None or not inspect.isclass(returned) or issubclass(returned, Backbone)


def _described(given: Any) -> str:
    if inspect.isclass(given):
        return f"the class {given.__name__}"
    return (
        f"{given!r:.80} ({type(given).__name__})" if not isinstance(given, nn.Module) else f"a {type(given).__name__}"
    )
