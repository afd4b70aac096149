"""Layers of networks other than plain linear ones, and where the parameters of a chain of layers lie."""

from weightspace.layers.kernels import Convolution, Flattened, Kernel
from weightspace.layers.normalisation import folded

__all__ = ["Convolution", "Flattened", "Kernel", "folded"]
