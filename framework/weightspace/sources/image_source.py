"""A source whose objects are images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.errors import SourceError
from weightspace.network import grid
from weightspace.sources.base import Source


@dataclass(frozen=True, repr=False)
class ImageSource(Source):
    """Labelled images of one size.

    Object i is image i: the training pool comes first, then the source's own validation and test sets, if it has them.

    Args:
        name: entry-point name, kept in a zoo's provenance.
        images: (n, height, width, channels) uint8.
        labels: (n,) int64, indices into ``class_names``.
        class_names: one name per class.
        num_train: how many of the n belong to the training pool; n if there is nothing else.
        levels: the pixel value that stands for 1.0.
        arguments: what ``load_source`` was called with (so that a zoo can find its source again).
        num_val: how many, after the training pool, are the source's own validation set.
        left_out: (name, reason) of what the source's files contain but the source does not use.
        license: under which the images may be used, as an SPDX identifier; "": not stated.
        attribution: whose work the images are, in one line; "": not stated.
        stratified: whether classes come into splits in proportion, where the source has none of its own.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    num_train: int
    levels: int = 255
    arguments: dict[str, Any] = field(default_factory=dict)
    num_val: int = 0
    left_out: tuple[tuple[str, str], ...] = ()
    license: str = ""
    attribution: str = ""
    stratified: bool = False

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise SourceError(
                f"source {self.name!r}: expected (n, height, width, channels) images and n labels, "
                f"found {self.images.shape} and {self.labels.shape}"
            )
        if self.images.dtype.kind not in "ui":
            raise SourceError(
                f"source {self.name!r}: expected images of whole numbers in 0..{self.levels}, found "
                f"{self.images.dtype}: those of [0, 1] are (255 * images).round().astype('uint8')"
            )
        if not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise SourceError(
                f"source {self.name!r}: labels must be in 0..{len(self.class_names) - 1}, "
                f"found {self.labels.min()}..{self.labels.max()}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of an image, (height, width, channels)."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def targets(self) -> np.ndarray:  # type: ignore[override]
        """The labels of the images."""
        return self.labels

    @property
    def in_dim(self) -> int:  # type: ignore[override]
        """2: row and column."""
        return 2

    @property
    def out_dim(self) -> int:  # type: ignore[override]
        """Number of channels."""
        return self.image_shape[2]

    def coordinates(self) -> Tensor:
        """(height * width, 2) float32, ``linspace(-1, 1)`` in each direction, (row, column) order."""
        return grid(self.image_shape[0], self.image_shape[1])

    def points(self, objects: Tensor) -> Tensor:
        """Coordinates of the pixels, the same for all objects."""
        return self.coordinates()

    def values(self, objects: Tensor) -> Tensor:
        """(len(objects), height * width, channels) float32 in [0, 1]."""
        images = torch.from_numpy(self.images[objects.numpy()])
        return images.flatten(1, 2).to(torch.float32) / self.levels

    @cached_property
    def digest(self) -> str:
        """sha256 of the images and labels: two sources with the same digest hold the same objects."""
        own = ((self.num_train, self.num_val) if self.num_val else (), ("stratified",) if self.stratified else ())
        properties = (self.images.shape, self.levels, *(value for values in own for value in values))
        content = hashlib.sha256(repr(properties).encode())
        content.update(np.ascontiguousarray(self.images).data)
        content.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return content.hexdigest()
