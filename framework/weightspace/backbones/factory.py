"""Backbone factories, which build a backbone once the zoo is known: from a class, a function, or a built backbone."""

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

#: Builds a backbone for an architecture and a length of the result: (spec, out_dim) -> Backbone.
BackboneFactory = Callable[[NetworkSpec, int], Backbone]


@dataclass(frozen=True)
class BuiltBackbone:
    """A factory that returns an existing backbone, only for its own architecture and length of the result.

    Args:
        backbone: the backbone, which is returned by every call.
    """

    backbone: Backbone

    def __call__(self, spec: NetworkSpec, out_dim: int) -> Backbone:
        """Returns the backbone.

        Raises:
            ConfigError: the backbone was built for other networks, or another length of the result.
        """
        name = type(self.backbone).__name__
        if self.backbone.reads(spec):
            spec = self.backbone.spec
        for what, built, asked in (("", self.backbone.spec, spec), ("out_dim ", self.backbone.out_dim, out_dim)):
            if built != asked:
                raise ConfigError(
                    f"the {name} was built for {what}{built}, and {what}{asked} is needed: build it for that, or give "
                    f"{name}.partial(...), which takes both from the data"
                )
        return self.backbone


def backbone_factory(given: Any, title: str = "backbone") -> BackboneFactory:
    """Makes a factory of a backbone that is given in one of several forms, without building it.

    Args:
        given: a class derived from Backbone, the result of its ``partial``, a function (spec, out_dim) -> Backbone, or
            a backbone.
        title: name of the argument in messages.

    Raises:
        ConfigError: the argument is none of these.
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
    """Builds a backbone for an architecture and checks it.

    Args:
        make: the factory.
        spec: architecture of the networks.
        out_dim: length of the result.

    Raises:
        ConfigError: the result is not a backbone, or its constructor does not call that of its base.
    """
    with constructing(ConfigError):
        made = make(spec, out_dim)
    if not isinstance(made, Backbone):
        raise ConfigError(f"backbone: expected a Backbone, found {type(made).__name__}")
    check_constructed(made, ConfigError)
    return made


def _may_return_backbone(function: Callable[..., Any]) -> bool:
    """Whether a function's return annotation is a backbone, or cannot be determined."""
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
