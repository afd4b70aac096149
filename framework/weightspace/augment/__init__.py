"""Augmentations: the base class for plugins, the registry that finds them, and the chain that runs them."""

from weightspace.augment.base import Augmentation
from weightspace.augment.chain import AugmentationChain
from weightspace.augment.registry import build_augmentations, find_augmentation, list_augmentations

__all__ = ["Augmentation", "AugmentationChain", "build_augmentations", "find_augmentation", "list_augmentations"]
