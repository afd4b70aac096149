"""Choosing the partners of MixUp: by what networks compute, which no symmetry of their weights changes."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.network import evaluate, spread

#: Whom a network is mixed with: any network of the batch, the nearest one, or the nearest one of its class.
BATCH, NEAREST, NEAREST_SAME_CLASS = PARTNERS = ("batch", "nearest", "nearest_same_class")
#: Number of points at which functions are compared.
POINTS = 64
#: Number of networks that are evaluated at a time: their outputs stay in the cache.
BLOCK = 64


def nearest(batch: WeightBatch, same_class: bool) -> Tensor:
    """The network of the batch whose function is nearest to that of each network; itself, where there is no other.

    The distance is that of the outputs at 64 points in -1..1, the same in every step. Other than a distance of
    weights, it is unchanged by symmetries; aligning all pairs would take B alignments for each network.

    Args:
        batch: B networks.
        same_class: only networks of the same class, for soft targets the likeliest one.

    Returns:
        (B,) int64.
    """
    points = _points(batch.spec.in_dim)
    blocks = [WeightBatch(params, batch.spec) for params in batch.params.split(BLOCK)]
    outputs = torch.cat([evaluate(block, points).flatten(1) for block in blocks])
    distances = torch.cdist(outputs, outputs, compute_mode="donot_use_mm_for_euclid_dist")  # products would round
    own = torch.arange(len(batch), device=batch.device)
    allowed = own[:, None] != own
    if same_class and batch.targets is not None:
        classes = batch.targets.argmax(1) if batch.targets.ndim == 2 else batch.targets
        allowed &= classes[:, None] == classes
    closest = distances.masked_fill(~allowed, torch.inf).argmin(1)
    return torch.where(allowed.any(1), closest, own)


@cache
def _points(inputs: int) -> Tensor:
    return spread(inputs, POINTS, dtype=torch.float64)
