"""What an edited network should draw: the edit of an object, or of what the network draws itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError
from weightspace.network import ValueRange, decode, grid
from weightspace.tasks.edits import Edit, edited

#: Values of objects: (n, C, H, W) in [0, 1], in the order of the objects' numbers, or a function of (B,) such numbers.
ObjectImages = Tensor | Callable[[Tensor], Tensor]


class Goal(NamedTuple):
    """Targets of a batch of networks.

    Attributes:
        images: (B, C, H, W) what they should draw.
        known: (B, H * W) where that is known, or None: everywhere.
    """

    images: Tensor
    known: Tensor | None = None


def drawn(batch: WeightBatch, size: tuple[int, int], value_range: ValueRange) -> Tensor:
    """What 2-D networks draw, (B, C, H, W), not clipped.

    Args:
        batch: the networks.
        size: height and width in pixels.
        value_range: outputs that stand for 0 and 1.
    """
    values = decode(batch, grid(*size).to(batch.params), value_range)
    return values.mT.unflatten(2, size)


def own_goal(batch: WeightBatch, edit: Edit, size: tuple[int, int], value_range: ValueRange) -> Goal:
    """The edit of what each network draws itself, clipped to [0, 1]."""
    return Goal(edited(edit, drawn(batch, size, value_range).clamp(0, 1)))


def object_goal(batch: WeightBatch, edit: Edit, images: Tensor) -> Goal:
    """The edit of each network's object, moved like the network.

    Args:
        batch: networks; their ``placement`` says where augmentations have moved the objects.
        edit: the edit, of what is moved.
        images: (B, C, H, W) the objects as they were.
    """
    if batch.placement is None:
        return Goal(edited(edit, images))
    height, width = images.shape[2:]
    matrix, shift = batch.placement[:, :, :2].to(images), batch.placement[:, :, 2:].to(images)
    points = (matrix @ grid(height, width).to(images).mT + shift).mT  # (B, H * W, 2), rows first
    known = (points.abs() <= 1 + 1e-6).all(2)
    places = points.flip(2).unflatten(1, (height, width))  # columns first
    moved = F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=True)
    return Goal(edited(edit, moved), known)


def images_of(objects: ObjectImages, batch: WeightBatch) -> Tensor:
    """(B, C, H, W) values of the objects of a batch of 2-D networks, on its device and in its precision.

    Raises:
        ConfigError: objects are not known, or have other channels than the networks.
    """
    if batch.objects is None:
        raise ConfigError("targets 'objects' need to know the object of each network, and the batch has no objects")
    images = objects[batch.objects.to(objects.device)] if isinstance(objects, Tensor) else objects(batch.objects)
    expected = f"({len(batch)}, {batch.spec.out_dim}, height, width)"
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[:2] != (len(batch), batch.spec.out_dim):
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ConfigError(f"images of the objects of {len(batch)} networks should be {expected}, found {found}")
    return images.to(batch.params)


def square_errors(batch: WeightBatch, goal: Goal, value_range: ValueRange, points: int | None) -> Tensor:
    """(B,) mean square differences between what networks draw and what they should, in units of the value range.

    Args:
        batch: the networks.
        goal: their targets.
        value_range: outputs that stand for 0 and 1.
        points: number of random pixels, the same for all networks; None: all.
    """
    height, width = goal.images.shape[2:]
    coordinates, targets, known = grid(height, width).to(batch.params), goal.images.flatten(2).mT, goal.known
    if points is not None and points < height * width:
        chosen = torch.randperm(height * width, device=batch.device)[:points]
        coordinates, targets = coordinates[chosen], targets[:, chosen]
        known = None if known is None else known[:, chosen]
    # without autocast: a sine of frequency 30 needs more precision than that of bfloat16
    with torch.autocast(batch.device.type, enabled=False):
        squares = (decode(batch, coordinates, value_range) - targets).square().mean(2)
    if known is None:
        return squares.mean(1)
    return (squares * known).sum(1) / known.sum(1).clamp(min=1)
