"""The picture of a zoo in a notebook."""

from __future__ import annotations

from weightspace.errors import MissingExtraError, ZooError
from weightspace.figures.images import drawn, png
from weightspace.figures.zoo import zoo_figure
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS

#: Largest number of networks in the picture.
COUNT = 8


def notebook_picture(zoo: Zoo) -> bytes | None:
    """The first decoded networks of a zoo as a PNG, or None if they cannot be drawn. Loads no source."""
    split = next((name for name in SPLITS if len(zoo.rows(name))), SPLITS[0])
    try:
        return png(drawn(zoo_figure(zoo, None, COUNT, split)))
    except (ZooError, MissingExtraError):
        return None
