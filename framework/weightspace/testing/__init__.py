"""Tools for plugin authors: contract checks, and templates of distributions.

Each name is imported when it is first used: a new plugin is written without torch and lightning, which the checks need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors, which do not run __getattr__
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


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    subject = name.removeprefix("check_").removesuffix("_checks")  # its module is called after it
    return getattr(import_module(f"{__name__}.{subject}"), name)
