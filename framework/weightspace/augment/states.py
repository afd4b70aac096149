"""Keys of the states of augmentations in checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback

from weightspace.augment.base import Augmentation


def number_occurrences(augmentations: Sequence[Augmentation]) -> list[Augmentation]:
    """Numbers augmentations of equal name, so that each has a unique ``state_key``; returns each instance once."""
    seen: Counter[str] = Counter()
    each = list({id(augmentation): augmentation for augmentation in augmentations}.values())
    for augmentation in each:
        augmentation.occurrence = seen[augmentation.key]
        seen[augmentation.key] += 1
    return each


class PositionKeys(Callback):
    """Loads checkpoints of earlier versions, whose keys are class and position in the chain.

    Args:
        augmentations: of the chain, in order.
    """

    def __init__(self, augmentations: Sequence[Augmentation]) -> None:
        self.augmentations = augmentations

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Renames the states to the current keys, before Lightning looks for them."""
        states = checkpoint["callbacks"]
        for position, augmentation in enumerate(self.augmentations):
            old = f"augmentation/{position}/{type(augmentation).__qualname__}"
            if old in states and augmentation.state_key not in states:
                states[augmentation.state_key] = states.pop(old)
