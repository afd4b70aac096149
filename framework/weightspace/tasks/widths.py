"""Several architectures in the data: whether a model reads all of them, and metrics of the test of each."""

from __future__ import annotations

from torch import nn

from weightspace.backbones.base import Backbone
from weightspace.data import ZooDataModule
from weightspace.data.mixture import zoos_of
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


def check_widths(model: nn.Module, data: ZooDataModule) -> None:
    """Checks that the backbones of a model read the networks of all zoos, also of those that are only tested.

    Args:
        model: with its modules.
        data: its data.

    Raises:
        ConfigError: a backbone reads networks of one architecture, and there are others.
    """
    known = data.architectures
    first, spec = next(iter(known.items()))
    others = {path: other for path, other in known.items() if other != spec}
    if not others:
        return
    path, other = next(iter(others.items()))
    for backbone in (module for module in model.modules() if isinstance(module, Backbone)):
        if not backbone.free_widths:
            name = type(backbone).__name__
            raise ConfigError(
                f"{name}, as it is given, reads networks of one architecture: its weights depend on the widths of "
                f"hidden layers, or its result does. {first} has {spec}, {path} has {other}: take one zoo, or a "
                "backbone that reads any widths (DWS, GNN, GraphTransformer, GridCNN, PhaseGNN, Probe, ScaleGNN, "
                "Statistics, with output: vector)"
            )


def stages_by_width(data: ZooDataModule) -> dict[NetworkSpec, str]:
    """Names in metrics of the tests of each architecture, such as "test_2-32-32-1"; empty if there is one alone."""
    specs = list(dict.fromkeys(zoo.spec for zoo in zoos_of(data.tested)))
    return {spec: f"test_{'-'.join(map(str, spec.widths))}" for spec in specs} if len(specs) > 1 else {}
