"""Layers of networks other than plain linear ones."""

from weightspace.layers.kernels import Convolution, Flattened, Kernel

__all__ = ["Convolution", "Flattened", "Kernel"]
