"""Copying batches to the accelerator."""

from __future__ import annotations

from typing import Any

import torch

from weightspace.batch import WeightBatch


def to_device(batch: Any, device: torch.device) -> Any | None:
    """Copies a batch to a device; from page-locked memory, without waiting for the copy.

    Pairs are a tuple: torch's DataLoader makes a list of a tuple when it copies it to page-locked memory.

    Returns:
        None for what is neither a batch nor a pair of batches.
    """
    if isinstance(batch, (tuple, list)) and all(isinstance(part, WeightBatch) for part in batch):
        return tuple(to_device(part, device) for part in batch)
    if not isinstance(batch, WeightBatch):
        return None
    return batch.to(device, non_blocking=device.type == "cuda" and batch.params.is_pinned())
