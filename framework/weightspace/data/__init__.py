"""Serving a zoo's networks in batches: the DataModule, its samplers and loaders, and the numbers of its targets."""

from weightspace.data.module import ZooDataModule

__all__ = ["ZooDataModule"]
