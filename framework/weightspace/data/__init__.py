"""Loading the networks of a zoo in batches: the DataModule, samplers, data loaders and the numbering of classes."""

from weightspace.data.module import ZooDataModule

__all__ = ["ZooDataModule"]
