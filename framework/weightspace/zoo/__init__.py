"""Zoos on disk: sets of networks of one architecture, with labels."""

from weightspace.zoo.alignment.align import align_zoo
from weightspace.zoo.alignment.store import ZooAlignment
from weightspace.zoo.store import Zoo
from weightspace.zoo.write import write_zoo
from weightspace.zoo.writer import ZooWriter

__all__ = ["Zoo", "ZooAlignment", "ZooWriter", "align_zoo", "write_zoo"]
