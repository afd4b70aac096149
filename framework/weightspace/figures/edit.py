"""Pictures of networks before and after an edit."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from weightspace.figures.images import image_grid
from weightspace.network import decibels


def edit_figure(pictures: dict[str, Tensor], target: str = "target") -> Figure:
    """Draws rows of pictures; under the name of the target, how close the others come to it.

    Args:
        pictures: name -> (n, C, H, W) with values in [0, 1], of 1 or 3 channels (of others, the first is drawn).
        target: the row that the others are compared with.
    """
    goal = pictures[target]
    captions = {}
    for name, images in pictures.items():
        if name != target:
            errors = (images - goal).square().mean((1, 2, 3))
            captions[name] = [f"{decibel:.1f} dB" for decibel in decibels(errors).tolist()]
    return image_grid({name: _images(images) for name, images in pictures.items()}, captions)


def _images(values: Tensor) -> Tensor:
    """(n, H, W), or (n, H, W, 3) for colour."""
    return values.movedim(1, 3).cpu() if values.shape[1] == 3 else values[:, 0].cpu()
