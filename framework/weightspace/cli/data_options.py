"""The options ``data.*`` of a run: those of the DataModule, as text from which a configuration can be written again."""

from __future__ import annotations

from typing import Any

from weightspace.data import ZooDataModule


def serve_zoo(zoo: str, augmentations: list[str | dict[str, Any]] | None = None, **options: Any) -> ZooDataModule:
    """Training, validation and test batches of one zoo.

    Args:
        zoo: folder of the zoo.
        augmentations: names, or {name: {parameter: value}}, in order.
        **options: of the DataModule.
    """
    return ZooDataModule(zoo, augmentations=augmentations, **options)
