"""The options ``data.*`` of a run: plain values, so that a configuration can be saved."""

from __future__ import annotations

from typing import Any

from weightspace.data import ZooDataModule


def serve_zoo(zoo: str, augmentations: list[str | dict[str, Any]] | None = None, **options: Any) -> ZooDataModule:
    """Builds the DataModule of a zoo from the options of a configuration.

    Args:
        zoo: folder of the zoo.
        augmentations: names, or {name: {parameter: value}}, in order.
        **options: further arguments of the DataModule.
    """
    return ZooDataModule(zoo, augmentations=augmentations, **options)
