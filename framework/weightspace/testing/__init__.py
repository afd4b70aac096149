"""Tools for plugin authors: contract checks, and templates of distributions."""

from weightspace.testing.augmentation import augmentation_checks, check_augmentation
from weightspace.testing.backbone import backbone_checks, check_backbone
from weightspace.testing.parametrize import parametrize_checks
from weightspace.testing.source import check_source, source_checks
from weightspace.testing.task import check_task, task_checks

__all__ = [
    "augmentation_checks",
    "backbone_checks",
    "check_augmentation",
    "check_backbone",
    "check_source",
    "check_task",
    "parametrize_checks",
    "source_checks",
    "task_checks",
]
