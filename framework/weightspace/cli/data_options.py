"""The options ``data.*`` of a run: plain values, so that a configuration can be saved."""

from __future__ import annotations

from typing import Any

from weightspace.data import ZooDataModule


def serve_zoo(
    zoo: list[str] | str,
    augmentations: list[str | dict[str, Any]] | None = None,
    test_zoo: list[str] | str | None = None,
    **options: Any,
) -> ZooDataModule:
    """Builds the DataModule of a zoo from the options of a configuration.

    Args:
        zoo: folder of the zoo, or a list of folders.
        augmentations: names, or {name: {parameter: value}}, in order.
        test_zoo: folder, or list of folders, of zoos whose test objects are tested instead.
        **options: further arguments of the DataModule.
    """
    return ZooDataModule(zoo, augmentations=augmentations, test_zoo=test_zoo, **options)
