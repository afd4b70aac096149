"""The states of augmentations in checkpoints: their keys, and when they are saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint

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


def with_augmentations(callbacks: Sequence[Callback], augmentations: Sequence[Augmentation]) -> list[Callback]:
    """Puts augmentations before all other callbacks, so that checkpoints have their state as it is then.

    Args:
        callbacks: of a trainer; augmentations among them, of a chain before, are left out.
        augmentations: of the chain, in order.

    Returns:
        Augmentations, then the other callbacks, those that write checkpoints last.
    """
    others = [c for c in callbacks if not isinstance(c, (Augmentation, PositionKeys))]
    plain = [c for c in others if not isinstance(c, Checkpoint)]
    checkpoints = [c for c in others if isinstance(c, Checkpoint)]
    return [PositionKeys(augmentations), *number_occurrences(augmentations), *plain, *checkpoints]
