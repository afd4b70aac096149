"""Where objects come from: images and shapes with labels, as coordinates and values."""

from weightspace.sources.base import Objects, Source, find_source, load_source
from weightspace.sources.image_source import ImageSource

__all__ = ["ImageSource", "Objects", "Source", "find_source", "load_source"]
