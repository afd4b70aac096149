"""Objects to fit networks to, and the registry that finds them by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.entry_points import load_plugin
from weightspace.errors import SourceError

GROUP = "weightspace.sources"


@dataclass(frozen=True)
class ImageSource:
    """Labelled images of one size.

    Object i is image i: the training pool comes first, then the source's own test set, if it has one.

    Args:
        name: entry-point name, kept in a zoo's provenance.
        images: (n, height, width, channels) uint8.
        labels: (n,) int64, indices into ``class_names``.
        class_names: one name per class.
        num_train: how many of the n belong to the training pool; n if there is no own test set.
        levels: the pixel value that stands for 1.0.
        arguments: what ``load_source`` was called with (so that a zoo can find its source again).
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    num_train: int
    levels: int = 255
    arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise SourceError(
                f"source {self.name!r}: expected (n, height, width, channels) images and n labels, "
                f"found {self.images.shape} and {self.labels.shape}"
            )
        if not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise SourceError(
                f"source {self.name!r}: labels must be in 0..{len(self.class_names) - 1}, "
                f"found {self.labels.min()}..{self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_test(self) -> int:
        """Size of the source's own test set (0: it has none)."""
        return len(self) - self.num_train

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def in_dim(self) -> int:
        """Number of coordinates of a point."""
        return 2

    @property
    def out_dim(self) -> int:
        """Number of values at a point."""
        return self.image_shape[2]

    def coordinates(self) -> Tensor:
        """(height * width, 2) float32, ``linspace(-1, 1)`` in each direction, (row, column) order."""
        return grid(self.image_shape[0], self.image_shape[1])

    def values(self, objects: Tensor) -> Tensor:
        """(len(objects), height * width, channels) float32 in [0, 1]."""
        images = torch.from_numpy(self.images[objects.numpy()])
        return images.flatten(1, 2).to(torch.float32) / self.levels

    @cached_property
    def digest(self) -> str:
        """sha256 of the images and labels: two sources with the same digest hold the same objects."""
        content = hashlib.sha256(repr((self.images.shape, self.levels)).encode())
        content.update(np.ascontiguousarray(self.images).data)
        content.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return content.hexdigest()


def grid(height: int, width: int) -> Tensor:
    """(height * width, 2) coordinates of an image's pixels, ends included, (row, column) order.

    >>> grid(2, 2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    axes = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack(axes, dim=-1).reshape(-1, 2)


def find_source(name: str) -> Callable[..., ImageSource]:
    """The function behind a name in the entry-point group ``weightspace.sources``.

    Raises:
        SourceError: no such name (the message lists the known ones), or it cannot be imported.
    """
    function: Callable[..., ImageSource] = load_plugin(GROUP, name, SourceError, kind="source")
    return function


def load_source(name: str, **arguments: Any) -> ImageSource:
    """Loads a source by its entry-point name.

    Raises:
        SourceError: unknown name, wrong arguments, or files that are missing or damaged.
    """
    function = find_source(name)
    try:
        return function(**arguments)
    except TypeError as error:
        raise SourceError(f"source {name!r} does not take these arguments {arguments}: {error}") from error
