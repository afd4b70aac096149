"""Networks whose input is the weights of other networks: WeightBatch -> (B, out_dim)."""

from weightspace.backbones.base import Backbone
from weightspace.backbones.dws import DWS
from weightspace.backbones.mlp import MLP

__all__ = ["DWS", "MLP", "Backbone"]
