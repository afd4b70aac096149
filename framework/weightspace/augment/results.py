"""Results of augmentations: checking that they are of the kind that was given, and taking those of some networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, soft_targets
from weightspace.errors import AugmentationError


def versions(batch: WeightBatch) -> list[int]:
    """Version counters of tensors, which in-place writes increase; those of inference mode are left out."""
    tensors = (batch.params, batch.targets, batch.objects, batch.views, batch.frame, batch.placement)
    return [tensor._version for tensor in tensors if tensor is not None and not tensor.is_inference()]


def check_versions(name: str, batch: WeightBatch, before: list[int]) -> None:
    """Raises AugmentationError if the augmentation of this name has written to the batch since ``before``."""
    if versions(batch) != before:
        raise AugmentationError(f"{name}: wrote to its input: apply must return a new batch (batch.replace)")


def check_result(name: str, before: WeightBatch, after: Any) -> None:
    """Raises AugmentationError if the augmentation of this name returned something of another kind than it got."""
    if not isinstance(after, WeightBatch):
        raise AugmentationError(f"{name}: apply must return a WeightBatch, found {type(after).__name__}")
    old, new = (f"{tuple(b.params.shape)} {b.params.dtype} on {b.device}" for b in (before, after))
    if old != new:
        raise AugmentationError(f"{name}: params were {old}, apply returned {new}")
    for fact in ("spec", "num_classes", "index"):
        if getattr(before, fact) != getattr(after, fact):
            raise AugmentationError(f"{name}: apply changed {fact} to {getattr(after, fact)}")
    if (before.targets is None) != (after.targets is None):
        raise AugmentationError(f"{name}: apply must neither drop targets nor make them up")
    if after.targets is None or before.targets is None or after.targets is before.targets:
        return
    kinds = {(tuple(before.targets.shape), before.targets.is_floating_point())}
    if before.num_classes is not None:
        kinds |= {((len(before),), False), ((len(before), before.num_classes), True)}
    if (tuple(after.targets.shape), after.targets.is_floating_point()) not in kinds:
        was, is_now = (f"{tuple(t.shape)} {t.dtype}" for t in (before.targets, after.targets))
        raise AugmentationError(
            f"{name}: targets were {was}, apply returned {is_now}: expected classes (B,) of whole numbers, or "
            "what soft_targets(batch) gives"
        )


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Adds a note with the name of the augmentation to whatever it raises; an AugmentationError has it already."""
    try:
        yield
    except AugmentationError:
        raise
    except Exception as error:
        error.add_note(f"raised by {name}")
        raise


def choose(chosen: Tensor, changed: WeightBatch, batch: WeightBatch) -> WeightBatch:
    """The changed networks where they are chosen, the others as they were.

    Args:
        chosen: (B,) bool.
        changed: the result of an augmentation.
        batch: what it was given.
    """
    params = torch.where(chosen[:, None], changed.params, batch.params)
    if batch.placement is not None and changed.placement is not None:
        changed = changed.replace(placement=torch.where(chosen[:, None, None], changed.placement, batch.placement))
    if changed.targets is None or changed.targets is batch.targets:
        return changed.replace(params=params)
    if _either_soft(changed, batch):
        targets = torch.where(chosen[:, None], soft_targets(changed), soft_targets(batch))
    else:
        targets = torch.where(chosen, changed.targets, cast(Tensor, batch.targets))
    return changed.replace(params=params, targets=targets)


def put(batch: WeightBatch, rows: Tensor, changed: WeightBatch) -> WeightBatch:
    """A new batch in which some networks are replaced; without a stored alignment, where these have none.

    Args:
        batch: B networks.
        rows: (n,) int64, which of them.
        changed: the n networks in their place.
    """
    batch = batch.replace(
        params=batch.params.index_copy(0, rows, changed.params),
        frame=None if changed.frame is None else batch.frame,
        placement=None
        if batch.placement is None or changed.placement is None
        else batch.placement.index_copy(0, rows, changed.placement),
    )
    if batch.targets is None or changed.targets is None:
        return batch
    soft = _either_soft(batch, changed)
    whole, part = (soft_targets(b) if soft else cast(Tensor, b.targets) for b in (batch, changed))
    return batch.replace(targets=whole.index_copy(0, rows, part.to(whole)))


def _either_soft(one: WeightBatch, other: WeightBatch) -> bool:
    return any(cast(Tensor, b.targets).is_floating_point() for b in (one, other))
