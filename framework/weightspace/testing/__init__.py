"""For authors of plugins: checks of the contracts, and the template of a distribution."""

from weightspace.testing.augmentation import augmentation_checks, check_augmentation, parametrize_checks

__all__ = ["augmentation_checks", "check_augmentation", "parametrize_checks"]
