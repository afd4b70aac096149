"""Augmentations: the base class for plugins, the registry that finds them, and the chain that runs them."""

from weightspace.augment.base import Augmentation
from weightspace.augment.chain import AugmentationChain
from weightspace.augment.registry import augmentation, build_augmentations, find_augmentation, list_augmentations

__all__ = [
    "Augmentation",
    "AugmentationChain",
    "augmentation",
    "build_augmentations",
    "find_augmentation",
    "list_augmentations",
]
