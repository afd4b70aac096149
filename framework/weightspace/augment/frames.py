"""Where augmentations may use a stored alignment: not after its neurons have been moved, and only one."""

from __future__ import annotations

from collections.abc import Sequence

from weightspace.augment.base import Augmentation
from weightspace.errors import AugmentationError


def stored_alignment(augmentations: Sequence[Augmentation]) -> bool | str:
    """The stored alignment that augmentations use: False, True (the only one), or its name."""
    return next((a.stored_alignment for a in augmentations if a.stored_alignment), False)


def check_frames(augmentations: Sequence[Augmentation], in_order: bool = True) -> None:
    """Raises AugmentationError if a stored alignment is used after it has been lost, or two are used.

    Args:
        augmentations: of a chain.
        in_order: whether each gets the networks as those before it leave them; otherwise all get the same.
    """
    moving: Augmentation | None = None
    first = stored_alignment(augmentations)
    for augmentation in augmentations:
        used = augmentation.stored_alignment
        if used and moving is not None:
            raise AugmentationError(
                f"{augmentation.name}: a stored alignment is of the networks as the zoo has them, and "
                f"{moving.name}, before it, moves their neurons: put it after this one, or leave out stored"
            )
        if used and used != first:
            raise AugmentationError(
                f"{augmentation.name}: the networks of a chain have one stored alignment, and "
                f"{first!r} and {used!r} are asked for"
            )
        if in_order and augmentation.moves_neurons and augmentation.changes_networks:
            moving = moving or augmentation
