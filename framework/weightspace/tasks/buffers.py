"""Buffers that training does not change, which processes need not send each other in every step."""

from __future__ import annotations

import lightning.pytorch as pl
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def has_changing_buffers(model: nn.Module) -> bool:
    """Whether training may change a buffer: one that its module does not name in an attribute ``constant_buffers``.

    Statistics of batch norm change, and buffers of classes from elsewhere are taken to change.

    Args:
        model: with all its modules.
    """
    return any(
        name not in getattr(module, "constant_buffers", ())
        for module in model.modules()
        for name, _ in module.named_buffers(recurse=False)
    )


def leave_constant_buffers(trainer: pl.Trainer) -> None:
    """Makes DDP send buffers once, when it is built, and not before each forward pass, if none of them changes.

    Args:
        trainer: trainer at the start of a fit.
    """
    model = trainer.strategy.model
    if isinstance(model, DistributedDataParallel) and not has_changing_buffers(model):
        model.forward_sync_buffers = False
