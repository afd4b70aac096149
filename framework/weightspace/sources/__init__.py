"""Where objects come from: images with labels, as coordinates and values."""

from weightspace.sources.base import ImageSource, find_source, load_source

__all__ = ["ImageSource", "find_source", "load_source"]
