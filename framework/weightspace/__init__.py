"""Networks that learn from the weights of other networks."""

from weightspace.version import __version__

__all__ = ["__version__"]
