"""Whether a model reads the networks of all zoos of its data."""

from __future__ import annotations

from torch import nn

from weightspace.backbones.base import Backbone
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError


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
