"""The picture of what a zoo holds."""

from __future__ import annotations

from pathlib import Path

from weightspace.figures.zoo import overview_figure
from weightspace.zoo import Zoo


def test_a_target_is_drawn_once(classifier_zoo: Path) -> None:
    zoo = Zoo(classifier_zoo)
    labels = [axis.get_xlabel() for axis in overview_figure(zoo).axes]
    assert labels[0] == "target"
    assert not set(labels) & set(zoo.header.target["names"])
