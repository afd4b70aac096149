"""The images of the objects that a zoo was fitted to, for editing its networks."""

from __future__ import annotations

import lightning.pytorch as pl
from torch import Tensor

from weightspace.data import ZooDataModule
from weightspace.data.mixture import Mixture
from weightspace.errors import ConfigError
from weightspace.fitting.origin import source_of
from weightspace.sources.image_source import ImageSource
from weightspace.tasks import EditTask


def give_objects(task: pl.LightningModule, data: ZooDataModule) -> None:
    """Gives a task that edits objects their images, from the source that the zoo names.

    Raises:
        ConfigError: the objects are no images.
        ZooError, SourceError: the zoo does not name its source, or the source's files are missing or differ.
    """
    if not isinstance(task, EditTask) or task.targets != "objects":
        return
    if isinstance(data.zoo, Mixture):
        raise ConfigError(f"EditTask edits networks of one architecture, and data.zoo has several ({data.zoo.path})")
    source = source_of(data.zoo.path, data.zoo.header)
    if not isinstance(source, ImageSource):
        raise ConfigError(
            f"targets 'objects': {data.zoo.path} was fitted to {source.name}, whose objects are no images of one size: "
            "take targets: networks, which edits what the networks draw"
        )
    height, width, channels = source.image_shape

    def images(objects: Tensor) -> Tensor:
        values = source.values(objects.cpu())
        return values.mT.reshape(len(objects), channels, height, width)

    task.give_objects(images)
